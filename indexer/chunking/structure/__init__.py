"""Parses a document's text into its outline: sections under headings, made of blocks with offsets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from indexer.chunking.structure.blocks import Outline
from indexer.chunking.structure.html import outline_of_html
from indexer.chunking.structure.markdown import outline_of_markdown
from indexer.chunking.structure.text import outline_of_text
from winnow.core.types import TextFormat

_PARSERS: Final[dict[TextFormat, Callable[[str], Outline]]] = {
    "text": outline_of_text,
    "markdown": outline_of_markdown,
    "html": outline_of_html,
}


def outline_of(text: str, format: TextFormat) -> Outline:
    """Parse ``text`` as ``format``. Never fails: invalid markup is read as text."""
    return _PARSERS[format](text)


__all__ = ["Outline", "outline_of"]
