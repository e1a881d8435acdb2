"""Parses CSV and TSV: each row is an item, with cells as strings. Runs inside the sandbox."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from typing import IO, Any, Final

from indexer.sources.base import ReadError
from winnow.conversion.encodings import CONTROLS, DETECTED_BYTES, NotText, decode_text

MAX_COLUMNS: Final = 1_000
MAX_CELL_CHARS: Final = 20_000_000

_DELIMITERS: Final = ",;\t|"
_SEPARATOR: Final = re.compile(r"sep=[,;\t|]\s*$")
_HEADER_CHARS: Final = 256 * 1024
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def parse(file: IO[bytes], *, delimiter: str = "") -> Iterator[dict[str, Any]]:
    """Yield ``{"columns": [names]}``, then for every row ``{"row": number, "values": {name: text}}``.

    Rows that cannot be read come as ``{"row": number, "code": …, "message": …}``. Numbers count rows from 1, without
    the header. ``"encoding"`` beside the columns is the file's, if it had to be guessed.

    Raises:
        ReadError: the header is unusable, or the file is not in the encoding that its first lines are in.
    """
    encoding, guessed = _encoding(file)
    csv.field_size_limit(MAX_CELL_CHARS)  # global, which is why it is set here and not in the service
    text = io.TextIOWrapper(file, encoding, errors=CONTROLS if encoding == "cp1252" else "strict", newline="")
    rows = csv.reader(text, strict=True)
    try:
        header, named = _header(text)
        delimiter = delimiter or named or _delimiter(header)
        rows = csv.reader(text, delimiter=delimiter, strict=True, skipinitialspace=f"{delimiter} " in header)
        names = _names(next(rows, []))
        yield {"columns": names, "encoding": encoding if guessed else ""}
        yield from _rows(rows, names)
    except UnicodeDecodeError:
        message = f"after row {rows.line_num:,} the file is not {encoding}; save it as UTF-8"
        raise ReadError("not_utf8", message) from None
    except csv.Error as error:
        raise ReadError(
            "invalid_csv", f"near line {rows.line_num:,}: {error}; a quote is unclosed or misplaced"
        ) from None


def _encoding(file: IO[bytes]) -> tuple[str, bool]:
    """The encoding by Python's name, and whether it was guessed: from the first lines that are not ASCII."""
    file.seek(0)
    start = file.read(4)
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), "")
    file.seek(0)
    sample = b""
    while not marked and (block := file.read(DETECTED_BYTES)):
        if not block.isascii() or b"\x00" in block:
            sample = block + file.readline(DETECTED_BYTES)
            break
    file.seek(0)
    try:
        found = decode_text(sample)
    except NotText as error:
        raise ReadError("binary" if b"\x00" in sample else error.code, error.message) from None
    if "\x00" in found.text:
        raise ReadError("binary", "the file contains NUL bytes: it is binary, not CSV")
    return marked or found.encoding, not marked and found.detected


def _header(text: io.TextIOWrapper) -> tuple[str, str]:
    """The first line that is not blank, where reading begins, and the delimiter of a line ``sep=;`` above it."""
    delimiter = ""
    start, header = text.tell(), text.readline(_HEADER_CHARS + 1)
    while header and (not header.strip() or _SEPARATOR.match(header)):
        delimiter = header.strip()[4:] or ("\t" if "\t" in header else "")
        start, header = text.tell(), text.readline(_HEADER_CHARS + 1)
    if len(header) > _HEADER_CHARS:
        raise ReadError("wrong_schema", f"the first line is longer than {_HEADER_CHARS:,}, too long for a header")
    text.seek(start)
    return header, delimiter


def _delimiter(header: str) -> str:
    """The separator that makes the most columns out of the header; those inside of quotes do not count."""

    def columns(delimiter: str) -> int:
        try:
            return len(next(csv.reader([header], delimiter=delimiter, strict=True), []))
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
