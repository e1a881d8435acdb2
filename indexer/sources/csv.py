"""Parses CSV and TSV: each row is an item, with cells as strings. Runs inside the sandbox."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import IO, Any, Final

from indexer.sources.base import ReadError

MAX_COLUMNS: Final = 1_000
MAX_CELL_CHARS: Final = 20_000_000

_DELIMITERS: Final = ",;\t|"
_HEADER_BYTES: Final = 256 * 1024


def parse(file: IO[bytes], *, delimiter: str = "") -> Iterator[dict[str, Any]]:
    """Yield ``{"columns": [names]}``, then for every row ``{"row": number, "values": {name: text}}``.

    Rows that cannot be read come as ``{"row": number, "code": …, "message": …}``. Numbers count rows from 1, without
    the header.

    Raises:
        ReadError: the header is unusable, or the file is not UTF-8.
    """
    header = file.readline(_HEADER_BYTES + 1)
    if len(header) > _HEADER_BYTES:
        raise ReadError("wrong_schema", f"the first line is longer than {_HEADER_BYTES:,} bytes, too long for a header")
    if b"\x00" in header:
        raise ReadError("binary", "the file contains NUL bytes: it is not CSV, or CSV in UTF-16; convert it to UTF-8")
    file.seek(0)
    csv.field_size_limit(MAX_CELL_CHARS)  # global, which is why it is set here and not in the service
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    rows = csv.reader(text, delimiter=delimiter or _delimiter(header), strict=True)
    try:
        names = _names(next(rows, []))
        yield {"columns": names}
        yield from _rows(rows, names)
    except UnicodeDecodeError:
        raise ReadError("not_utf8", f"after row {rows.line_num:,} the file is not UTF-8; convert it") from None
    except csv.Error as error:
        raise ReadError(
            "invalid_csv", f"near line {rows.line_num:,}: {error}; a quote is unclosed or misplaced"
        ) from None


def _delimiter(header: bytes) -> str:
    """The separator that makes the most columns out of the header; those inside of quotes do not count."""
    line = header.decode("utf-8-sig", errors="replace")

    def columns(delimiter: str) -> int:
        try:
            return len(next(csv.reader([line], delimiter=delimiter, strict=True), []))
        except csv.Error:
            return 0

    return max(_DELIMITERS, key=columns)


def _names(header: list[str]) -> list[str]:
    names = [name.strip() for name in header]
    if not any(names):
        raise ReadError("wrong_schema", "the header is missing: the first line must name the columns")
    if len(names) > MAX_COLUMNS:
        raise ReadError("wrong_schema", f"the table has {len(names):,} columns; the limit is {MAX_COLUMNS:,}")
    twice = next((name for name in names if name and names.count(name) > 1), "")
    if twice:
        raise ReadError("wrong_schema", f"the column {twice[:80]!r} occurs twice in the header; rename one")
    return names


def _rows(rows: Iterator[list[str]], names: list[str]) -> Iterator[dict[str, Any]]:
    number = 0
    for values in rows:
        if not any(values):
            continue
        number += 1
        if len(values) > len(names):
            cells = f"the row has {len(values):,} cells, the header {len(names):,}"
            yield {"row": number, "code": "wrong_row", "message": f"{cells}; quote cells that contain separators"}
            continue
        filled = {name: value for name, value in zip(names, values, strict=False) if name and value}
        yield {"row": number, "values": filled}
