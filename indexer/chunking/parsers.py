"""Parses a document's text into its outline: sections under headings, made of blocks with offsets."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from indexer.chunking.html import outline_of_html
from indexer.chunking.markdown import outline_of_markdown
from indexer.chunking.outline import Block, Outline, Section, trim_span
from winnow.core.types import TextFormat

_BLANK_LINES: Final = re.compile(r"\n(?:[^\S\n]*+\n)++")


def _outline_of_text(text: str) -> Outline:
    """One section without a heading; its blocks are the paragraphs."""
    gaps = list(_BLANK_LINES.finditer(text))
    begins, ends = [0, *(gap.end() for gap in gaps)], [*(gap.start() for gap in gaps), len(text)]
    spans = [trim_span(text, begin, end) for begin, end in zip(begins, ends, strict=True)]
    blocks = tuple(Block(text[start:end], start, end) for start, end in spans if start < end)
    sections = (Section((), "", None, blocks),) if blocks else ()
    return Outline(sections, text, verbatim=True)


_PARSERS: Final[dict[TextFormat, Callable[[str], Outline]]] = {
    "text": _outline_of_text,
    "markdown": outline_of_markdown,
    "html": outline_of_html,
}


def outline_of(text: str, format: TextFormat) -> Outline:
    """Parse ``text`` as ``format``. Never fails: invalid markup is read as text."""
    return _PARSERS[format](text)
