"""From one file to its documents: the formats that are read, by suffix."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from types import TracebackType
from typing import Final, NamedTuple, Self
from urllib.parse import quote

from indexer.chunking.structure.front_matter import InvalidFrontMatter
from indexer.sources.base import Failure, SourceOptions
from indexer.sources.cache import FileCache
from indexer.sources.html import describe_html
from indexer.sources.jsonl import count_lines, read_jsonl
from indexer.sources.markdown import describe_markdown
from indexer.sources.parsed import PARSED, parse_file
from indexer.sources.sandbox import ParseFailure, Sandbox
from indexer.sources.tables import TABLES, count_rows, read_table
from winnow.core.documents import MAX_TITLE_CHARS, parse_document
from winnow.core.errors import InvalidDocument
from winnow.core.types import Document, JsonValue, TextFormat

TEXTS: Final[dict[str, TextFormat]] = {
    ".md": "markdown",
    ".mdx": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".txt": "text",
    ".rst": "text",
    ".text": "text",
}
JSONL: Final = frozenset({".jsonl", ".ndjson"})
SUFFIXES: Final = frozenset({*TEXTS, *JSONL, *TABLES, *PARSED})
MAX_FILE_BYTES: Final = 50 * 1024 * 1024

_VERSION: Final = 1  # of what is kept in the cache: raise it when a parser returns something else

Describe = Callable[[str], tuple[str, dict[str, JsonValue]]]
_DESCRIBE: Final[dict[TextFormat, Describe]] = {
    "markdown": describe_markdown,
    "html": lambda text: (describe_html(text), {}),
    "text": lambda _: ("", {}),
}


def is_known(path: PurePath) -> bool:
    """Whether the suffix of a file is one that is read."""
    return path.suffix.lower() in SUFFIXES


def holds_many(path: PurePath) -> bool:
    """Whether a file holds rows, each a document."""
    return path.suffix.lower() in JSONL or path.suffix.lower() in TABLES


def count_items(path: Path) -> int:
    """How many documents a file holds, cheaply: 1, or its rows."""
    suffix = path.suffix.lower()
    try:
        return count_lines(path) if suffix in JSONL else count_rows(path) if suffix in TABLES else 1
    except OSError:
        return 1  # reading it says what is wrong


def url_of(base_url: str, relative: PurePosixPath) -> str:
    """Address of a file: ``base_url`` and its path, an index page at its folder's address; empty without ``base_url``.

    The suffix goes, as sites publish their pages, but for PDF and DOCX.
    """
    if not base_url:
        return ""
    page = relative if relative.suffix.lower() in PARSED else relative.with_suffix("")
    parts = page.parent.parts if page.name.lower() == "index" else page.parts
    return "/".join([base_url.rstrip("/"), *(quote(part) for part in parts)])


def printable(path: str | Path) -> str:
    """A path for people: bytes that are no UTF-8 replaced."""
    return os.fsencode(path).decode(errors="replace")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a source.

    Attributes:
        name: how failures name it.
        relative: its path inside of the source.
        fetch: gives the path of the file on this machine; called when it has to be read.
        stamp: changes when the file does; empty for a local file, whose time and size are looked up.
    """

    name: str
    relative: PurePosixPath
    fetch: Callable[[], Path]
    stamp: str = ""


class _Content(NamedTuple):
    format: TextFormat
    text: str
    title: str
    metadata: dict[str, JsonValue]


class FileReader:
    """Reads the files of one source. A context manager: it may start a process for parsers and ends it.

    What is dear to get, by parsing or over the network, is kept in ``cache``.
    """

    def __init__(self, options: SourceOptions, cache: FileCache, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self._options = options
        self._cache = cache
        self._limit = max_file_bytes
        self._sandbox = Sandbox()
        self._seen: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sandbox.close()

    def read(self, file: File) -> Iterator[Document | Failure]:
        """Read the documents of one file."""
        try:
            if holds_many(file.relative):
                yield from self._rows(file.fetch(), file)
            else:
                yield self._unseen(self._one(file), file.name)
        except OSError as error:
            document_id = "" if holds_many(file.relative) else file.relative.as_posix()
            yield Failure(file.name, "unreadable", f"cannot be read: {error.strerror or error}", document_id)

    def _rows(self, path: Path, file: File) -> Iterator[Document | Failure]:
        if file.relative.suffix.lower() in JSONL:
            return read_jsonl(path, file.name, max_chars=self._limit, seen=self._seen)
        return read_table(
            path,
            file.name,
            file.relative.as_posix(),
            sandbox=self._sandbox,
            options=self._options,
            max_chars=self._limit,
            seen=self._seen,
        )

    def _unseen(self, item: Document | Failure, name: str) -> Document | Failure:
        if isinstance(item, Document) and item.id in self._seen:
            return Failure(name, "duplicate_id", f"id {item.id!r} was taken by a row of another file before", item.id)
        if isinstance(item, Document):
            self._seen.add(item.id)
        return item

    def _one(self, file: File) -> Document | Failure:
        document_id = file.relative.as_posix()
        if printable(document_id) != document_id:
            return Failure(file.name, "not_utf8", "the name of the file is not UTF-8; rename it")
        try:
            content = self._content(file)
            raw = {
                "id": document_id,
                "text": content.text,
                "format": content.format,
                "title": (content.title or file.relative.stem)[:MAX_TITLE_CHARS],
                "url": url_of(self._options.base_url, file.relative),
                "metadata": content.metadata,
            }
            return parse_document(raw, fields={}, max_chars=self._limit)
        except InvalidFrontMatter as error:
            return Failure(file.name, "invalid_front_matter", f"front matter, {error}", document_id)
        except (ParseFailure, InvalidDocument) as error:
            return Failure(file.name, error.code, error.message, document_id)

    def _content(self, file: File) -> _Content:
        """What the file holds, from the cache where it is known and dear."""
        if not file.stamp and file.relative.suffix.lower() not in PARSED:
            return self._fresh(file)
        stamp = f"{_VERSION}:{file.stamp or _stamp(file.fetch())}"
        key = file.relative.as_posix()
        known = self._cache.get(key)
        if known is None or known["stamp"] != stamp:
            content = self._fresh(file)
            self._cache.put(key, {"stamp": stamp, "content": content._asdict()})
            return content
        return _Content(**known["content"])

    def _fresh(self, file: File) -> _Content:
        suffix = file.relative.suffix.lower()
        if suffix in PARSED:
            parsed = parse_file(file.fetch(), PARSED[suffix], sandbox=self._sandbox, max_chars=self._limit)
            return _Content("html", *parsed, {})
        text = _decoded(_load(file.fetch(), self._limit))
        return _Content(TEXTS[suffix], text, *_DESCRIBE[TEXTS[suffix]](text))


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_mtime_ns}:{status.st_size}"


def _decoded(data: bytes) -> str:
    """The text of a file.

    Raises:
        ParseFailure: it is empty, or no UTF-8.
    """
    if not data.strip():
        raise ParseFailure("empty", "the file is empty")
    if b"\x00" in data:
        raise ParseFailure("binary", "the file holds NUL bytes: it is no text, or text in UTF-16; convert it to UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ParseFailure("not_utf8", f"line {line} is not UTF-8; convert the file") from None


def _load(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ParseFailure("too_large", f"the file is larger than {limit / 1024 / 1024:g} MiB; split it")
    return data
