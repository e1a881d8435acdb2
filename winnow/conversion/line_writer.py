"""Puts lines of a lightweight markup language together into blocks of canonical text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from winnow.conversion.converted import CanonicalWriter, Converted, joined_lines, table_of
from winnow.core.marks import Mark


class LineWriter:
    """Collects lines into paragraphs and code."""

    def __init__(self) -> None:
        self.writer = CanonicalWriter()
        self.first_heading = ""
        self._lines: list[str] = []
        self._heading_at = 0

    def line(self, text: str) -> None:
        """Add a line of a paragraph; a list item opens a block of its own."""
        if not text.strip() or re.match(r"\s*(?:[-+•]|\*{1,5}|\d+[.)]|#\.|\.{1,5}) ", text):
            self.flush()
        if text.strip():
            self._lines.append(re.sub(r"^(\s*)(?:[+•]|\*{1,5}|\.{1,5}|#\.) ", r"\1- ", text))

    def flush(self) -> None:
        """End the paragraph."""
        if self._lines:
            is_item = self._lines[0].lstrip()[:2] == "- "
            self.writer.add(joined_lines("\n".join(self._lines)), tight=is_item)
        self._lines = []

    def heading(self, level: int, title: str, anchor: str = "") -> None:
        """Write a heading."""
        self.flush()
        self.first_heading = self.first_heading or title
        self.writer.heading(level, title)
        self._heading_at = len(self.writer) - len(title) - min(level, 6) - 1
        self.anchor(anchor)

    def anchor(self, value: str) -> None:
        """Note the id of the last heading."""
        if value and self.first_heading:
            self.writer.marks.append(Mark(self._heading_at, "anchor", value))

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Write a table, whose first row is its header."""
        self.flush()
        if any(any(row) for row in rows):
            self.writer.add(table_of(rows))

    def code(self, lines: Sequence[str], language: str) -> None:
        """Write code, without the indentation that all of its lines share."""
        self.flush()
        indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
        text = "\n".join(line[indent:] for line in lines).strip("\n")
        if text.strip():
            ticks = "````" if "```" in text else "```"
            self.writer.add(f"{ticks}{language}\n{text}\n{ticks}")

    def result(self, title: str = "") -> Converted:
        """The converted document."""
        self.flush()
        return Converted(self.writer.text(), title or self.first_heading, marks=tuple(self.writer.marks))


def until(lines: Iterator[str], ends: Callable[[str], bool]) -> Iterator[str]:
    """The lines up to the first whose words ``ends`` accepts, which is taken as well."""
    for line in lines:
        if ends(line.strip()):
            return
        yield line


def inline_text(pattern: re.Pattern[str], text: str) -> str:
    """A line in which each match of ``pattern`` is the first of its groups that is not empty."""
    return pattern.sub(lambda match: next((part for part in match.groups() if part), ""), text)
