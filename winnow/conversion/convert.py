"""The map from a text's format to its conversion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from winnow.conversion.asciidoc import convert_asciidoc
from winnow.conversion.converted import Converted
from winnow.conversion.markdown import convert_markdown
from winnow.conversion.notebook import convert_notebook
from winnow.conversion.org import convert_org
from winnow.conversion.rst import convert_rst
from winnow.conversion.subtitles import convert_subtitles
from winnow.core.types import Document


def _convert_html(text: str) -> Converted:
    from winnow.conversion.html import convert_html  # noqa: PLC0415 - its libraries are loaded where there is HTML

    return convert_html(text)


_CONVERSIONS: Final[dict[str, Callable[[str], Converted]]] = {
    "html": _convert_html,
    "markdown": convert_markdown,
    "mdx": partial(convert_markdown, mdx=True),
    "rst": convert_rst,
    "asciidoc": convert_asciidoc,
    "org": convert_org,
    "srt": convert_subtitles,
    "vtt": convert_subtitles,
    "ipynb": convert_notebook,
}


def convert_text(text: str, source_format: str) -> Converted:
    """Convert a text that was decoded already; formats without markup stay as they are.

    Raises:
        ValueError: the text is not in a format that must be valid: a notebook.
    """
    convert = _CONVERSIONS.get(source_format, Converted)
    return convert(text)


def canonical(document: Document) -> Document:
    """The document with canonical text; its title and metadata stay as they were given.

    A document that holds nothing to read comes back as it is: its indexing fails and says so.
    """
    if document.canonical:
        return document
    found = convert_text(document.text, document.source_format)
    if not found.text.strip():
        return document
    warnings = (*document.warnings, *found.warnings)
    return replace(document, text=found.text, marks=found.marks, warnings=warnings, canonical=True)
