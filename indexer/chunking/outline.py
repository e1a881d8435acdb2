"""The outline that every format is parsed into: sections, each with a heading path and blocks."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

_WORD: Final = re.compile(r"[A-Za-z0-9_]{1,40}|[^\W_]|[^\w\s]")
_WINDOW: Final = 4000  # characters in which the next word is looked for
_NOT_IN_ANCHORS: Final = re.compile(r"[^\w\- ]")


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


class Alignment:
    """Maps positions in a block's readable text to positions in the original text.

    Words are looked up one after another, so the mapping never goes backwards and stays inside the block. It is
    exact at every word that the original spells in the same way; beside entities and escapes it is off by a word.
    """

    def __init__(self, block: Block, source: str) -> None:
        self._block = block
        self._read = [0]
        self._original = [block.start]
        cursor = block.start
        for word in _WORD.finditer(block.text):
            found = source.find(word[0], cursor, min(block.end, cursor + _WINDOW))
            if found >= 0:
                self._read.append(word.start())
                self._original.append(found)
                cursor = found + len(word[0])

    def original(self, position: int) -> int:
        """Position in the original of a position inside of ``block.text``."""
        at = bisect_right(self._read, position) - 1
        following = self._original[at + 1] if at + 1 < len(self._original) else self._block.end
        return min(self._original[at] + position - self._read[at], following)


def trim_span(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends; an empty one if it is all white space."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


class Slugger:
    """Makes anchors that are unique within one document: ``setup``, ``setup-1``, ``setup-2``."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def slug(self, heading: str) -> str:
        """Return the anchor of ``heading``: lower case, punctuation dropped, spaces to hyphens."""
        base = _NOT_IN_ANCHORS.sub("", heading.strip().lower()).replace(" ", "-")
        anchor = base
        while anchor in self._seen:
            self._seen[base] += 1
            anchor = f"{base}-{self._seen[base]}"
        self._seen[anchor] = 0
        return anchor


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
