"""JSONL (NDJSON): one document a line, the same object and the same rules as over HTTP. ``_id`` stands for ``id``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from indexer.sources.base import Failure
from winnow.core.documents import parse_document
from winnow.core.errors import InvalidDocument
from winnow.core.types import Document

MAX_LINE_BYTES: Final = 20 * 1024 * 1024

_BLOCK: Final = 1024 * 1024
_COUNTED_BYTES: Final = 512 * 1024 * 1024  # beyond this the number of lines is estimated
_BOM: Final = b"\xef\xbb\xbf"


def count_lines(path: Path) -> int:
    """Number of lines of a file: counted, or for very large files extrapolated from their beginning."""
    size = path.stat().st_size
    lines = read = 0
    last = b"\n"
    with path.open("rb") as file:
        while read < _COUNTED_BYTES and (block := file.read(_BLOCK)):
            read += len(block)
            lines += block.count(b"\n")
            last = block[-1:]
    return round((lines + (last != b"\n")) * size / read) if read else 0


def read_jsonl(path: Path, name: str, *, max_chars: int, seen: set[str]) -> Iterator[Document | Failure]:
    """Read the documents of a file, a line at a time; memory is bounded by the longest line that is accepted.

    Args:
        path: the file.
        name: how failures name it.
        max_chars: longest text of a document.
        seen: ids that were taken before; those of this file are added.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(_lines(file), 1):
                item = _read_line(line.removeprefix(_BOM) if number == 1 and line else line, max_chars)
                if item is not None:
                    yield _unseen(item, f"{name}:{number}", seen)
    except OSError as error:
        yield Failure(name, "unreadable", f"cannot be read: {error.strerror or error}")


def _lines(file: IO[bytes]) -> Iterator[bytes | None]:
    """Lines without loading those over the limit, which come as ``None``."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) <= MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while (rest := file.readline(_BLOCK)) and not rest.endswith(b"\n"):
            pass
        yield None


def _read_line(line: bytes | None, max_chars: int) -> Document | Failure | None:
    """One document or what is wrong with it, ``source`` left empty; ``None`` for a blank line."""
    if line is None:
        limit = MAX_LINE_BYTES // 1024 // 1024
        return Failure("", "line_too_long", f"the line is longer than {limit} MiB; split the document")
    try:
        text = line.decode().strip()
    except UnicodeDecodeError as error:
        return Failure("", "not_utf8", f"byte {error.start + 1} of the line is not UTF-8; convert the file")
    if not text:
        return None
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        return Failure("", "invalid_json", f"not JSON: {reason}; a line holds one whole object")
    return _parse(raw, max_chars)


def _parse(raw: object, max_chars: int) -> Document | Failure:
    if isinstance(raw, dict) and "_id" in raw:
        raw = {"id": raw["_id"]} | {key: value for key, value in raw.items() if key != "_id"}
    try:
        return parse_document(raw, fields={}, max_chars=max_chars)
    except InvalidDocument as error:
        known = raw.get("id") if isinstance(raw, dict) else None
        return Failure("", error.code, error.message, known if isinstance(known, str) else "")


def _unseen(item: Document | Failure, where: str, seen: set[str]) -> Document | Failure:
    """Fill in where a failure is, and turn a document whose id was taken into one."""
    if isinstance(item, Failure):
        return Failure(where, item.code, item.message, item.document_id)
    if item.id in seen:
        return Failure(where, "duplicate_id", f"id {item.id!r} stands in an earlier line; it was kept", item.id)
    seen.add(item.id)
    return item
