"""File formats by suffix, and a reader for the documents of one file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Final, cast
from urllib.parse import quote

from indexer.sources.base import DocumentParser, ReadError
from indexer.sources.cache import FileCache
from indexer.sources.content import read_text
from indexer.sources.kinds import MEDIA_TYPES, PARSED, TEXTS, options_of
from indexer.sources.recognition import read_scanned
from indexer.sources.rows import ROWS, count_rows, read_rows
from indexer.sources.sandbox import Sandbox
from winnow.core.documents import MAX_TITLE_CHARS
from winnow.core.types import Document
from winnow.ports.source import Failure, SourceOptions

SUFFIXES: Final = frozenset({*TEXTS, *ROWS, *PARSED})
MAX_FILE_BYTES: Final = 50 * 1024 * 1024
MAX_PARSED_BYTES: Final = 256 * 1024 * 1024

_VERSION: Final = 4  # of cached results: raise it when a parser returns something else


def is_known(path: PurePath) -> bool:
    """Whether files with this suffix are read."""
    return path.suffix.lower() in SUFFIXES


def holds_many(path: PurePath) -> bool:
    """Whether a file holds rows, each a document."""
    return path.suffix.lower() in ROWS


def count_items(path: Path) -> int:
    """Number of documents in a file, cheaply: 1, or its rows."""
    try:
        return count_rows(path) if holds_many(path) else 1
    except OSError:
        return 1  # reading the file reports the error


def file_url(base_url: str, relative: PurePosixPath) -> str:
    """Address of a file: ``base_url`` and its path, an index page at its folder's address; empty without ``base_url``.

    The suffix is dropped, as sites publish their pages, except for formats that browsers do not show as pages.
    """
    if not base_url:
        return ""
    page = relative if relative.suffix.lower() in PARSED else relative.with_suffix("")
    parts = page.parent.parts if page.name.lower() == "index" else page.parts
    return "/".join([base_url.rstrip("/"), *(quote(part) for part in parts)])


def printable(path: str | Path) -> str:
    """A path for people, with bytes that are not UTF-8 replaced."""
    return os.fsencode(path).decode(errors="replace")


def parse_file(path: Path, *, sandbox: Sandbox, max_chars: int) -> dict[str, Any]:
    """Parse a file of a format of ``PARSED`` in the sandbox: a record as ``read_text`` returns.

    Raises:
        ReadError: the file cannot be parsed, or has more than ``max_chars`` characters.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    if size > MAX_PARSED_BYTES:
        raise ReadError("too_large", f"the file is larger than {MAX_PARSED_BYTES / 1024 / 1024:g} MiB; split it")
    if not size:
        raise ReadError("empty", "the file is empty")
    suffix = path.suffix.lower()
    (found,) = sandbox.parse(PARSED[suffix], path, {"max_chars": max_chars, **options_of(suffix)})
    return found


def read_whole(path: Path, suffix: str, *, sandbox: Sandbox, max_chars: int, charset: str = "") -> dict[str, Any]:
    """Read a file that is one document, as the format of ``suffix``: a record as ``read_text`` returns.

    ``charset`` is what a server said of a text. Raises as ``parse_file``.
    """
    if suffix in PARSED:
        return parse_file(path, sandbox=sandbox, max_chars=max_chars)
    return read_text(_load(path, sandbox), TEXTS[suffix], charset)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a source.

    Attributes:
        name: how failures name it.
        relative: its path inside the source.
        fetch: returns the path of the file on this machine, which is not a link; called when it has to be read.
        stamp: changes when the file does; empty for a local file, whose time and size are looked up.
    """

    name: str
    relative: PurePosixPath
    fetch: Callable[[], Path]
    stamp: str = ""


class FileReader:
    """Reads the files of one source. Content that is expensive to parse or to download is kept in ``cache``."""

    def __init__(self, options: SourceOptions, cache: FileCache | None, sandbox: Sandbox) -> None:
        self._options = options
        self._cache = cache
        self._sandbox = sandbox
        self._documents = DocumentParser(MAX_FILE_BYTES)
        self._read_rows = partial(read_rows, documents=self._documents, sandbox=sandbox, options=options)

    def read(self, file: File) -> Iterator[Document | Failure]:
        """Read the documents of one file."""
        document_id = "" if holds_many(file.relative) else file.relative.as_posix()
        try:
            if holds_many(file.relative):
                yield from self._read_rows(file.fetch(), file.name, file.relative.as_posix())
            elif printable(document_id) != document_id:
                yield Failure(file.name, "not_utf8", "the name of the file is not UTF-8; rename it")
            else:
                title = {"title": file.relative.stem, "url": file_url(self._options.base_url, file.relative)}
                content = self._content(file)
                title["title"] = (content["title"] or title["title"])[:MAX_TITLE_CHARS]
                yield self._documents.parse(content | title | {"id": document_id}, file.name)
        except OSError as error:
            yield Failure(file.name, "unreadable", f"cannot be read: {error.strerror or error}", document_id)
        except ReadError as error:
            yield Failure(file.name, error.code, error.message, document_id)

    def _content(self, file: File) -> dict[str, Any]:
        """Format, text, title and metadata of a file, from the cache if they are expensive to get."""
        if self._cache is None or not (file.stamp or file.relative.suffix.lower() in PARSED):
            return self._read_content(file)
        stamp = f"{_VERSION}:{'ocr:' if self._options.ocr else ''}{file.stamp or _stamp(file.fetch())}"
        key = file.relative.as_posix()
        known = self._cache.get(key)
        if known is None or known["stamp"] != stamp:
            known = {"stamp": stamp, "content": self._read_content(file)}
            self._cache.put(key, known)
        return cast("dict[str, Any]", known["content"])

    def _read_content(self, file: File) -> dict[str, Any]:
        sent, _, parameters = self._options.content_type.lower().partition(";")
        suffix = MEDIA_TYPES.get(sent.strip(), file.relative.suffix.lower())
        label = parameters.partition("charset=")[2].strip(" \"';")
        path = file.fetch()

        def read(path: Path, sandbox: Sandbox) -> dict[str, Any]:
            return read_whole(path, suffix, sandbox=sandbox, max_chars=MAX_FILE_BYTES, charset=label)

        if suffix == ".pdf" and self._options.ocr:
            return read_scanned(path, read, self._sandbox)
        return read(path, self._sandbox)


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_mtime_ns}:{status.st_size}"


def _load(path: Path, sandbox: Sandbox) -> bytes:
    with sandbox.open(path) as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ReadError("too_large", f"the file is larger than {MAX_FILE_BYTES / 1024 / 1024:g} MiB; split it")
    return data
