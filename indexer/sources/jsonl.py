"""Reads JSONL (NDJSON): each line is a document, as in the HTTP API; ``_id`` is read as ``id``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from indexer.sources.base import Failure, ReadError
from indexer.sources.records import DocumentParser
from winnow.core.types import Document

MAX_LINE_BYTES: Final = 20 * 1024 * 1024

_BLOCK: Final = 1024 * 1024
_COUNTED_BYTES: Final = 512 * 1024 * 1024  # beyond this the number of lines is estimated
_BOM: Final = b"\xef\xbb\xbf"


def count_lines(path: Path) -> int:
    """Number of lines of a file: counted, or for very large files extrapolated from the beginning."""
    size = path.stat().st_size
    lines = read = 0
    last = b"\n"
    with path.open("rb") as file:
        while read < _COUNTED_BYTES and (block := file.read(_BLOCK)):
            read += len(block)
            lines += block.count(b"\n")
            last = block[-1:]
    return round((lines + (last != b"\n")) * size / read) if read else 0


def read_jsonl(path: Path, name: str, documents: DocumentParser) -> Iterator[Document | Failure]:
    """Read the documents of a file, a line at a time; memory is bounded by the longest line that is accepted.

    Args:
        path: the file.
        name: how failures name it.
        documents: turns the objects into documents.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        for number, line in enumerate(_lines(file), 1):
            if line is not None and not line.removeprefix(_BOM).strip():
                continue
            where = f"{name}:{number}"
            try:
                yield documents.parse(_load(line, "utf-8-sig" if number == 1 else "utf-8"), where)
            except ReadError as error:
                yield Failure(where, error.code, error.message)


def _lines(file: IO[bytes]) -> Iterator[bytes | None]:
    """Lines; ``None`` for one over the limit, which is not loaded."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) <= MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while (rest := file.readline(_BLOCK)) and not rest.endswith(b"\n"):
            pass
        yield None


def _load(line: bytes | None, encoding: str) -> object:
    if line is None:
        limit = MAX_LINE_BYTES // 1024 // 1024
        raise ReadError("line_too_long", f"the line is longer than {limit} MiB; split the document")
    try:
        raw = json.loads(line.decode(encoding))
    except UnicodeDecodeError as error:
        message = f"byte {error.start + 1} of the line is not UTF-8; convert the file"
        raise ReadError("not_utf8", message) from None
    except (ValueError, RecursionError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else str(error)
        raise ReadError("invalid_json", f"not JSON: {reason}; each line must be one complete object") from None
    if isinstance(raw, dict) and "_id" in raw:
        return {"id": raw["_id"]} | {key: value for key, value in raw.items() if key != "_id"}
    return raw
