"""Reads the tables of reStructuredText, AsciiDoc and Org as rows of cells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

_RULE: Final = re.compile(r"[\s=-]*$")
_ADOC_CELL: Final = re.compile(r"(?:(?<=\s)|^)(?:[\d.]{1,9}[+*])?[<^>.]{0,4}[a-z]?(?<!\\)\|")
_ADOC_COLUMNS: Final = re.compile(r"cols=\"?([^\"\]]+)")


def grid_rows(lines: Sequence[str], row: int) -> tuple[list[list[str]], int]:
    """The rows of a grid table that begins at ``row``, and where it ends; a cell over several columns is one cell."""
    start = len(lines[row]) - len(lines[row].lstrip())
    borders = [place for place, char in enumerate(lines[row]) if char == "+"]
    rows: list[list[str]] = []
    is_new = True
    while row < len(lines) and lines[row][start : start + 1] in ("+", "|"):
        line = lines[row]
        row += 1
        if line[start] == "+":
            is_new = True
            continue
        cells = [""] * (len(borders) - 1)
        at = 0
        for number, (left, right) in enumerate(pairwise(borders)):
            at = number if line[left : left + 1] in ("|", "+") else at  # else the cell goes on over this border
            cells[at] += line[left + 1 if at == number else left : right]
        if is_new:
            rows.append(cells)
        else:
            rows[-1] = _together(rows[-1], cells)
        is_new = False
    return [[cell.strip() for cell in cells] for cells in rows], row


def simple_rows(lines: Sequence[str], row: int) -> tuple[list[list[str]], int]:
    """The rows of a simple table (``====  ====``) that begins at ``row``, and where it ends."""
    starts = [match.start() for match in re.finditer(r"=+", lines[row])]
    rows: list[list[str]] = []
    row += 1
    while row < len(lines):
        line = lines[row]
        row += 1
        if line.strip() and _RULE.match(line):
            if line.lstrip().startswith("=") and (row >= len(lines) or not lines[row].strip()):
                break
            continue
        if not line.strip():
            continue
        cells = [line[left:right].strip() for left, right in zip(starts, [*starts[1:], None], strict=True)]
        if cells[0] or not rows:
            rows.append(cells)
        else:
            rows[-1] = _together(rows[-1], cells)
    return rows, row


def _together(above: Sequence[str], below: Sequence[str]) -> list[str]:
    return [f"{one.rstrip()} {two.strip()}".strip() for one, two in zip(above, below, strict=True)]


def org_rows(lines: Sequence[str]) -> list[list[str]]:
    """The rows of a table of Org, without its rules."""
    kept = (line.strip().strip("|") for line in lines if not line.strip().startswith("|-"))
    return [[cell.strip() for cell in line.split("|")] for line in kept]


def asciidoc_rows(lines: Sequence[str], attributes: str) -> list[list[str]]:
    """The rows of a table of AsciiDoc; ``attributes`` is the line above it, which may say the number of columns."""
    cells: list[str] = []
    width = _columns(attributes)
    for line in lines:
        first, *others = _ADOC_CELL.split(line)
        if cells and first.strip():
            cells[-1] = f"{cells[-1]} {first.strip()}".strip()
        cells += [cell.strip() for cell in others]
        width = width or len(others)
    return [cells[start : start + width] for start in range(0, len(cells), width)] if width else []


def _columns(attributes: str) -> int:
    found = _ADOC_COLUMNS.search(attributes)
    if found is None:
        return 0
    counts = (re.match(r"\s*(\d{1,3})\*", part) for part in re.split(r"[,;]", found[1]))
    return sum(int(count[1]) if count else 1 for count in counts)
