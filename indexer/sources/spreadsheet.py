"""Parses XLSX, XLS and ODS: each sheet is a table under its name. Runs inside the sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, time, timedelta
from typing import IO, Any, Final

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetVisibleEnum

from indexer.sources.archive import check_archive, property_of
from indexer.sources.base import ReadError, check_size
from indexer.sources.content import record_of
from winnow.conversion.converted import CanonicalWriter, Converted, repeat_down, table_of
from winnow.core.marks import DocumentWarning, Mark

MAX_ROW_MARKS: Final = 20_000  # of a sheet; beyond that only some rows are marked


def parse(file: IO[bytes], *, max_chars: int, source_format: str) -> Iterator[dict[str, Any]]:
    """Yield one record.

    Raises:
        ReadError: the file is locked, damaged, has no text, or more than ``max_chars`` of it.
    """
    title = "" if source_format == "xls" else property_of(check_archive(file))
    file.seek(0)
    try:
        book = CalamineWorkbook.from_filelike(file)
    except PasswordError:
        raise ReadError("encrypted", "the workbook is encrypted; save it without a password") from None
    except CalamineError as error:
        raise ReadError("damaged", f"not a readable workbook ({error!s:.200}); save it again") from None
    writer = CanonicalWriter()
    hidden = [each.name for each in book.sheets_metadata if each.visible != SheetVisibleEnum.Visible]
    for name in book.sheet_names:
        if name not in hidden:
            _write_sheet(writer, name, _cells(book.get_sheet_by_name(name)))
        check_size(len(writer), max_chars, "workbook")
    warnings = (_left_out(hidden),) if hidden else ()
    yield record_of(Converted(writer.text(), title, marks=tuple(writer.marks), warnings=warnings), source_format)


def _left_out(hidden: Sequence[str]) -> DocumentWarning:
    names = ", ".join(repr(name[:50]) for name in hidden[:10])
    return DocumentWarning(
        "hidden_sheets", f"hidden sheets were left out: {names}; show them to have them read", count=len(hidden)
    )


def _cells(sheet: CalamineSheet) -> list[list[str]]:
    """The cells as text; one that spans several rows is said in each of them."""
    rows = [list(map(_cell, row)) for row in sheet.to_python(skip_empty_area=False)]
    for (top, left), (bottom, _) in sheet.merged_cell_ranges or ():
        if top < len(rows) and left < len(rows[top]):
            repeat_down(rows, top, left, bottom - top + 1)
    return rows


def _write_sheet(writer: CanonicalWriter, name: str, rows: Sequence[Sequence[str]]) -> None:
    """Write a sheet without its empty rows and columns, with a mark for each row."""
    kept = [(number, row) for number, row in enumerate(rows, 1) if any(row)]
    if not kept:
        return
    width = max(len(row) for _, row in kept)
    used = [column for column in range(width) if any("".join(row[column : column + 1]) for _, row in kept)]
    writer.heading(1, " ".join(name.split()), marks=[("sheet", name)])
    table = table_of([[row[column] if column < len(row) else "" for column in used] for _, row in kept])
    start = len(writer) + 2
    writer.add(table)
    lines = table.split("\n")
    step = -(-len(kept) // MAX_ROW_MARKS)
    for index, line in enumerate(lines):
        if index != 1 and (row := index - (index > 0)) % step == 0:
            writer.marks.append(Mark(start, "row", kept[row][0]))
        start += len(line) + 1


def _cell(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case date() | time():
            return value.isoformat().removesuffix("T00:00:00")
        case timedelta():
            return str(value)
        case _:
            return str(value)
