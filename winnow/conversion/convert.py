"""The map from a text's format to its conversion."""

from __future__ import annotations

from dataclasses import replace

from winnow.conversion.converted import Converted
from winnow.conversion.html import convert_html
from winnow.conversion.markdown import convert_markdown
from winnow.core.types import Document


def convert_text(text: str, source_format: str) -> Converted:
    """Convert a text that was decoded already; formats without markup stay as they are."""
    match source_format:
        case "html":
            return convert_html(text)
        case "markdown":
            return convert_markdown(text)
        case "mdx":
            return convert_markdown(text, mdx=True)
        case _:
            return Converted(text)


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
