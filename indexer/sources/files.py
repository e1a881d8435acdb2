"""Folders and files: Markdown, HTML, text and JSONL, told apart by their suffix.

A document's id is its path relative to the folder, with ``/`` between the parts; documents of JSONL files bring their
own ids. Two folders that are indexed into one collection must not hold files of the same relative path.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote

from indexer.sources.base import Failure
from indexer.sources.html import describe_html
from indexer.sources.jsonl import count_lines, read_jsonl
from indexer.sources.markdown import describe_markdown
from indexer.structure.front_matter import InvalidFrontMatter
from retrieval.documents import parse_document
from retrieval.errors import InvalidDocument
from retrieval.types import Document, FieldType, JsonValue, TextFormat

FORMATS: Final[dict[str, TextFormat]] = {
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
MAX_FILE_BYTES: Final = 50 * 1024 * 1024

_SKIPPED: Final = frozenset({"node_modules", "__pycache__"})

Describe = Callable[[str], tuple[str, dict[str, JsonValue]]]
_DESCRIBE: Final[dict[TextFormat, Describe]] = {
    "markdown": describe_markdown,
    "html": lambda text: (describe_html(text), {}),
    "text": lambda _: ("", {}),
}


@dataclass(frozen=True)
class FolderSource:
    """All files of a folder that have a known suffix, sorted by path; hidden files and folders are left out.

    Attributes:
        root: the folder, absolute.
        base_url: where the folder is published: the address of a document is this and its path without the suffix.
        max_file_bytes: larger files fail; lines of JSONL files have a limit of their own.
    """

    root: Path
    base_url: str = ""
    max_file_bytes: int = MAX_FILE_BYTES

    @property
    def label(self) -> str:
        """``dir:`` and the absolute path."""
        return f"dir:{self.root}"

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """None: what the metadata of files means is for the user to say."""
        return {}

    def count(self) -> int | None:
        """Files, and lines of JSONL files."""
        return sum(_count(path) for path in _walk(self.root))

    def read(self) -> Iterator[Document | Failure]:
        """Read file after file."""
        seen: set[str] = set()
        errors: list[OSError] = []
        for path in _walk(self.root, errors.append):
            yield from _read(path, self.root, self, seen)
        for error in errors:
            yield Failure(_printable(error.filename), "unreadable", f"cannot be read: {error.strerror or error}")


@dataclass(frozen=True)
class FileSource:
    """A single file; its id is its name."""

    path: Path
    base_url: str = ""
    max_file_bytes: int = MAX_FILE_BYTES

    @property
    def label(self) -> str:
        """``file:`` and the absolute path."""
        return f"file:{self.path}"

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """None, as for a folder."""
        return {}

    def count(self) -> int | None:
        """1, or the lines of a JSONL file."""
        return _count(self.path)

    def read(self) -> Iterator[Document | Failure]:
        """Read the file."""
        yield from _read(self.path, self.path.parent, self, set())


def is_known(path: Path) -> bool:
    """Whether the suffix of a file is one that is read."""
    return path.suffix.lower() in FORMATS or path.suffix.lower() in JSONL


def url_of(base_url: str, relative: PurePosixPath) -> str:
    """Address of a page: ``base_url`` and the path without suffix, an index page at its folder's; empty without one."""
    if not base_url:
        return ""
    page = relative.with_suffix("")
    parts = page.parent.parts if page.name.lower() == "index" else page.parts
    return "/".join([base_url.rstrip("/"), *(quote(part) for part in parts)])


def _walk(root: Path, on_error: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Files with a known suffix, sorted. Links to folders are not followed, so that there are no loops."""
    for folder, names, files in os.walk(root, onerror=on_error):
        names[:] = sorted(name for name in names if not name.startswith(".") and name not in _SKIPPED)
        for name in sorted(files):
            path = Path(folder, name)
            if not name.startswith(".") and is_known(path) and path.is_file():
                yield path


def _count(path: Path) -> int:
    try:
        return count_lines(path) if path.suffix.lower() in JSONL else 1
    except OSError:
        return 1  # reading it says what is wrong


def _read(path: Path, root: Path, source: FolderSource | FileSource, seen: set[str]) -> Iterator[Document | Failure]:
    name = _printable(path)
    if path.suffix.lower() in JSONL:
        yield from read_jsonl(path, name, max_chars=source.max_file_bytes, seen=seen)
        return
    item = _read_file(path, name, PurePosixPath(path.relative_to(root).as_posix()), source)
    if isinstance(item, Document) and item.id in seen:
        item = Failure(name, "duplicate_id", f"id {item.id!r} was taken by a line of a JSONL file before", item.id)
    if isinstance(item, Document):
        seen.add(item.id)
    yield item


def _read_file(path: Path, name: str, relative: PurePosixPath, source: FolderSource | FileSource) -> Document | Failure:
    document_id = relative.as_posix()
    if _printable(path) != str(path):
        return Failure(name, "not_utf8", "the name of the file is not UTF-8; rename it")
    text = _load(path, source.max_file_bytes)
    if isinstance(text, Failure):
        return Failure(name, text.code, text.message, document_id)
    written = FORMATS[path.suffix.lower()]
    try:
        title, metadata = _DESCRIBE[written](text)
        raw = {
            "id": document_id,
            "text": text,
            "format": written,
            "title": title or path.stem,
            "url": url_of(source.base_url, relative),
            "metadata": metadata,
        }
        return parse_document(raw, fields={}, max_chars=source.max_file_bytes)
    except InvalidFrontMatter as error:
        return Failure(name, "invalid_front_matter", f"front matter, {error}", document_id)
    except InvalidDocument as error:
        return Failure(name, error.code, error.message, document_id)


def _printable(path: str | Path) -> str:
    return os.fsencode(path).decode(errors="replace")


def _load(path: Path, limit: int) -> str | Failure:
    """The text of a file, or why there is none; a failure comes without its place."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        return Failure("", "unreadable", f"cannot be read: {error.strerror or error}")
    if len(data) > limit:
        return Failure("", "too_large", f"the file is larger than {limit / 1024 / 1024:g} MiB; split it")
    if not data.strip():
        return Failure("", "empty", "the file is empty")
    if b"\x00" in data:
        return Failure("", "binary", "the file holds NUL bytes: it is no text, or text in UTF-16; convert it to UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Failure("", "not_utf8", f"line {line} is not UTF-8; convert the file")
