"""The outline that every format is parsed into: sections, each with a heading path and blocks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a list item, a table, a piece of code.

    Attributes:
        text: readable text, markup removed, not blank.
        start, end: character offsets of the block in the original text, ``end`` exclusive.
        lines: the text is made of lines (code, a table); a cut falls at line ends first.
        tight: follows the block before it without an empty line (list items).
    """

    text: str
    start: int
    end: int
    lines: bool = False
    tight: bool = False


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


@dataclass(frozen=True, slots=True)
class Outline:
    """A parsed document.

    Attributes:
        sections: in the order of the text, without empty ones.
        source: the original text with its markup blanked out, character for character; to cut inside a block, its
            words are looked up here.
        verbatim: the text is plain: readable text is ``source[start:end]``, across blocks too.
    """

    sections: tuple[Section, ...]
    source: str
    verbatim: bool = False


def trim_span(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends; an empty one if it is all white space."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


class OutlineBuilder:
    """Collects blocks and headings in the order of the text and keeps the heading path."""

    def __init__(self) -> None:
        self._path: list[tuple[int, str]] = []
        self._sections: list[Section] = []
        self._blocks: list[Block] = []
        self._heading: Block | None = None
        self._anchor = ""

    def add(self, block: Block) -> None:
        """Append ``block`` to the current section."""
        self._blocks.append(block)

    def open(self, level: int, heading: Block, anchor: str) -> None:
        """Start the section of a heading. ``level``: 1 is the outermost."""
        self._close()
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        self._path.append((level, heading.text))
        self._heading, self._anchor = heading, anchor

    def sections(self) -> tuple[Section, ...]:
        """Every section with text: blocks, or a heading that no later section has in its path."""
        self._close()
        kept = [
            section
            for section, following in zip_longest(self._sections, self._sections[1:])
            if section.blocks or (section.heading is not None and not _is_ancestor(section, following))
        ]
        self._sections = []
        return tuple(kept)

    def _close(self) -> None:
        if self._blocks or self._heading is not None:
            headings = tuple(text for _, text in self._path)
            self._sections.append(Section(headings, self._anchor, self._heading, tuple(self._blocks)))
        self._blocks = []


def _is_ancestor(section: Section, following: Section | None) -> bool:
    depth = len(section.headings)
    return following is not None and len(following.headings) > depth and following.headings[:depth] == section.headings
