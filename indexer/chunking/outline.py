"""Parses canonical text into its outline: sections under headings, made of blocks. Every offset is exact."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

import regex

from winnow.core.marks import Mark
from winnow.core.types import PLAIN, Document

_NOT_IN_ANCHORS: Final = regex.compile(r"[^\p{L}\p{M}\p{N}\p{Pc}\- ]")  # as GitHub makes them
_BLANK_LINES: Final = re.compile(r"\n(?:[^\S\n]*+\n)++")
_HEADING: Final = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t]*$")
_FENCE: Final = re.compile(r"[ \t]*(`{3,}|~{3,})")
_ITEM: Final = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_RULE: Final = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a list item, a table, a piece of code or a heading: ``text[start:end]`` without white space around.

    Attributes:
        lines: the text is made of lines (code, a table); a cut falls at line ends first.
        head: where the part that every piece repeats ends: a table's header, a fence's first line; else ``start``.
        heading: level and title of a heading, ``None`` for other blocks.
    """

    start: int
    end: int
    lines: bool = False
    head: int = -1
    heading: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """The blocks from one heading to the next.

    Attributes:
        headings: heading path, outermost first, with the section's own heading last; empty before the first heading.
        anchor: fragment of the section's own heading, without ``#``; empty if there is none.
        heading: the heading itself as a block, ``None`` before the first heading.
    """

    headings: tuple[str, ...]
    anchor: str
    heading: Block | None
    blocks: tuple[Block, ...]


class Marks:
    """The marks of a document, to look up by offset."""

    def __init__(self, marks: Sequence[Mark]) -> None:
        self._anchors = {mark.start: str(mark.value) for mark in marks if mark.kind == "anchor"}
        self._places: dict[str, tuple[list[int], list[str | int]]] = {}
        for mark in marks:
            if mark.kind != "anchor":
                starts, values = self._places.setdefault(mark.kind, ([], []))
                starts.append(mark.start)
                values.append(mark.value)

    def anchor(self, start: int) -> str:
        """The anchor of the heading at ``start``; empty if it has no mark."""
        return self._anchors.get(start, "")

    def place(self, start: int) -> dict[str, str | int]:
        """Page, slide, sheet or row in which the offset lies, as far as there are marks."""
        found: dict[str, str | int] = {}
        for kind, (starts, values) in self._places.items():
            at = bisect_right(starts, start) - 1
            if at >= 0:
                found[kind] = values[at]
        return found


def outline_of(document: Document) -> tuple[Section, ...]:
    """The sections of a document in the order of its text, without empty ones. Never fails."""
    if document.source_format in PLAIN:
        blocks = tuple(_paragraphs(document.text))
        return (Section((), "", None, blocks),) if blocks else ()
    return _sections(document.text, Marks(document.marks))


def _sections(text: str, marks: Marks) -> tuple[Section, ...]:
    slugger = Slugger()
    found: list[Section] = []
    path: list[tuple[int, str]] = []
    heading: Block | None = None
    anchor = ""
    blocks: list[Block] = []

    def close() -> None:
        if blocks or heading is not None:
            found.append(Section(tuple(title for _, title in path), anchor, heading, tuple(blocks)))
        blocks.clear()

    for block in _blocks(text):
        if block.heading is None:
            blocks.append(block)
            continue
        close()
        level, title = block.heading
        while path and path[-1][0] >= level:
            path.pop()
        path.append(block.heading)
        slug = slugger.slug(title)
        heading, anchor = block, marks.anchor(block.start) or slug
    close()
    pairs = zip_longest(found, found[1:])
    return tuple(one for one, following in pairs if one.blocks or not _is_ancestor(one, following))


def _is_ancestor(section: Section, following: Section | None) -> bool:
    depth = len(section.headings)
    return following is not None and len(following.headings) > depth and following.headings[:depth] == section.headings


def _paragraphs(text: str) -> Iterator[Block]:
    gaps = list(_BLANK_LINES.finditer(text))
    begins, ends = [0, *(gap.end() for gap in gaps)], [*(gap.start() for gap in gaps), len(text)]
    for begin, end in zip(begins, ends, strict=True):
        start, stop = _trimmed(text, begin, end)
        if start < stop:
            yield Block(start, stop)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    left = len(part) - len(part.lstrip())
    return (start + left, end - (len(part) - len(part.rstrip()))) if left < len(part) else (start, start)


def _blocks(text: str) -> Iterator[Block]:
    """The blocks of canonical text, by one pass over its lines."""
    lines = text.split("\n")
    at, row = 0, 0
    while row < len(lines):
        line = lines[row]
        if not line.strip():
            at, row = at + len(line) + 1, row + 1
            continue
        if line[0] == "#" and (found := _HEADING.match(line)) and found[2]:
            yield Block(at, at + len(line.rstrip()), heading=(len(found[1]), found[2]))
            at, row = at + len(line) + 1, row + 1
            continue
        last, is_lines, head = _extent(lines, row)
        size = sum(map(len, lines[row:last])) + last - row - 1
        start, end = _trimmed(text, at, at + size)
        yield Block(start, end, is_lines, -1 if head == 0 else at + sum(map(len, lines[row : row + head])) + head)
        at, row = at + size + 1, last


def _extent(lines: Sequence[str], row: int) -> tuple[int, bool, int]:
    """The block that begins in line ``row``: the line behind it, whether it is made of lines, lines of its head."""
    if fence := _FENCE.match(lines[row]):
        mark = fence[1]
        closing = re.compile(rf"[ \t]*{re.escape(mark[0])}{{{len(mark)},}}[ \t]*$")
        end = next((i for i in range(row + 1, len(lines)) if closing.match(lines[i])), len(lines) - 1)
        return end + 1, True, 1
    if "|" in lines[row] and row + 1 < len(lines) and "-" in lines[row + 1] and _RULE.match(lines[row + 1]):
        end = row + 2
        while end < len(lines) and "|" in lines[end]:
            end += 1
        return end, True, 2
    end = row + 1
    while end < len(lines) and lines[end].strip() and not _opens(lines, end):
        end += 1
    return end, lines[row].startswith(("    ", "\t")) and not _ITEM.match(lines[row]), 0


def _opens(lines: Sequence[str], row: int) -> bool:
    """Whether a line that follows others opens a block of its own."""
    line = lines[row]
    first = line.lstrip(" \t")[:1]
    if first == "#":
        return bool(_HEADING.match(line))
    if first in "`~":
        return bool(_FENCE.match(line))
    return (first in "-*+" or first.isdecimal()) and bool(_ITEM.match(line))


class Slugger:
    """Makes anchors that are unique within one document: ``setup``, ``setup-1``, ``setup-2``."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def slug(self, heading: str) -> str:
        """Return the anchor of ``heading``: lower case, punctuation dropped, spaces to hyphens."""
        base: str = _NOT_IN_ANCHORS.sub("", heading.strip().lower()).replace(" ", "-")
        anchor = base
        while anchor in self._seen:
            self._seen[base] += 1
            anchor = f"{base}-{self._seen[base]}"
        self._seen[anchor] = 0
        return anchor
