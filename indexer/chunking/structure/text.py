"""Parses plain text: paragraphs, separated by empty lines."""

from __future__ import annotations

import re
from typing import Final

from indexer.chunking.structure.blocks import Block, Outline, Section, trim_span

_BLANK_LINES: Final = re.compile(r"\n(?:[^\S\n]*+\n)++")


def outline_of_text(text: str) -> Outline:
    """One section without a heading; its blocks are the paragraphs."""
    gaps = list(_BLANK_LINES.finditer(text))
    begins, ends = [0, *(gap.end() for gap in gaps)], [*(gap.start() for gap in gaps), len(text)]
    spans = [trim_span(text, begin, end) for begin, end in zip(begins, ends, strict=True)]
    blocks = tuple(Block(text[start:end], start, end) for start, end in spans if start < end)
    sections = (Section((), "", None, blocks),) if blocks else ()
    return Outline(sections, text, verbatim=True)
