"""The result of a conversion, and the writer of canonical text.

Canonical text is Markdown of few forms: headings (``#``), list items (``-``, ``1.``), tables (``|``), fenced code,
quotes (``>``) and paragraphs, with an empty line between blocks. Marks that change only the looks (emphasis) or name an
address (links, images) are left out; their words stay.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from winnow.core.marks import DocumentWarning, Mark, MarkKind
from winnow.core.types import Metadata

_WIDE: Final = "\u2e80-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"  # written without spaces
REPEATED_CHARS: Final = 200  # of a cell that spans rows; a longer one is said once
_ESCAPED_PIPE: Final = "\\|"
_WIDE_BREAK: Final = re.compile(rf"(?<=[{_WIDE}])\n(?=[{_WIDE}])")


@dataclass(frozen=True, slots=True)
class Converted:
    """A document that was read.

    Attributes:
        text: the canonical text; empty if there is nothing to read.
        title: the document's own, else its first heading, else empty.
    """

    text: str
    title: str = ""
    metadata: Metadata = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()
    warnings: tuple[DocumentWarning, ...] = ()


class CanonicalWriter:
    """Puts blocks together and notes the marks."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._tight = False
        self.marks: list[Mark] = []

    def __len__(self) -> int:
        """Characters written so far."""
        return self._length

    def add(self, block: str, *, tight: bool = False, marks: Sequence[tuple[MarkKind, str | int]] = ()) -> None:
        """Append a block that is not blank. ``tight``: without an empty line after another tight one."""
        if self._parts:
            self._write("\n" if tight and self._tight else "\n\n")
        self._tight = tight
        self.marks += [Mark(self._length, kind, value) for kind, value in marks]
        self._write(block)

    def heading(self, level: int, title: str, *, marks: Sequence[tuple[MarkKind, str | int]] = ()) -> None:
        """Append a heading. ``level``: from 1, the outermost."""
        self.add(f"{'#' * min(level, 6)} {title}", marks=marks)

    def text(self) -> str:
        """Everything written."""
        return "".join(self._parts)

    def _write(self, part: str) -> None:
        self._parts.append(part)
        self._length += len(part)


def joined_lines(text: str) -> str:
    """A hard-wrapped paragraph as one line: with a space at each break, without one in Chinese and Japanese."""
    lines = "\n".join(line.strip(" \t") for line in text.split("\n"))
    return _WIDE_BREAK.sub("", lines).replace("\n", " ").strip()


def table_of(rows: Sequence[Sequence[str]]) -> str:
    """A table of pipes; the first row is the header. Line ends inside of cells are replaced, and pipes escaped."""
    width = max(map(len, rows), default=0)
    lines = [_row([*row, *[""] * (width - len(row))]) for row in rows]
    return "\n".join([lines[0], _row(["---"] * width), *lines[1:]]) if lines else ""


def repeat_down(rows: Sequence[list[str]], top: int, left: int, height: int) -> None:
    """Say the cell in row ``top`` and column ``left`` in each of the ``height`` rows that it spans and that are filled.

    A chunk may begin below the cell's first row, and its rows would lack it.
    """
    value = rows[top][left]
    for row in rows[top + 1 : top + height] if len(value) <= REPEATED_CHARS else ():
        if left < len(row) and any(row):
            row[left] = row[left] or value


def say_in_each_row(rows: Sequence[list[str]], heights: Sequence[Sequence[int]]) -> None:
    """Say each cell in all rows that it spans; ``heights`` are the numbers of rows of the cells in ``rows``."""
    for top, spans in enumerate(heights):
        for left, height in enumerate(spans):
            if height > 1:
                repeat_down(rows, top, left, height)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', _ESCAPED_PIPE) for cell in cells)} |"
