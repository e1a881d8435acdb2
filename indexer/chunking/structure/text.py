"""Parses plain text: paragraphs, separated by empty lines."""

from __future__ import annotations

import re
from typing import Final

from indexer.chunking.structure.blocks import Block, Outline, Section

_BLANK_LINES: Final = re.compile(r"\n(?:[^\S\n]*+\n)++")


def outline_of_text(text: str) -> Outline:
    """One section without a heading; its blocks are the paragraphs."""
    blocks = []
    start = 0
    for gap in _BLANK_LINES.finditer(text):
        blocks.append(_trimmed(text, start, gap.start()))
        start = gap.end()
    blocks.append(_trimmed(text, start, len(text)))
    kept = tuple(block for block in blocks if block is not None)
    sections = (Section((), "", None, kept),) if kept else ()
    return Outline(sections, text, verbatim=True)


def _trimmed(text: str, start: int, end: int) -> Block | None:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return Block(text[start:end], start, end) if start < end else None
