"""Formats of files by suffix, and the parsers and media types that belong to them."""

from __future__ import annotations

from typing import Any, Final

TEXTS: Final[dict[str, str]] = {
    **dict.fromkeys((".md", ".markdown"), "markdown"),
    ".mdx": "mdx",
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    **dict.fromkeys((".txt", ".text"), "text"),
    ".rst": "rst",
    **dict.fromkeys((".adoc", ".asciidoc"), "asciidoc"),
    ".org": "org",
    ".srt": "srt",
    ".vtt": "vtt",
    ".ipynb": "ipynb",
}
"""Formats that are text, which is decoded and converted in the reader's own process."""

PARSED: Final[dict[str, str]] = {
    ".pdf": "pdf",
    ".docx": "docx",
    ".pptx": "slides",
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "spreadsheet"),
    ".odt": "opendocument",
    ".epub": "epub",
    ".rtf": "rtf",
    ".eml": "mail",
    ".msg": "outlook",
}
"""Formats that need a parser, which runs in the sandbox: the module in ``indexer.sources`` by suffix."""

MEDIA_TYPES: Final[dict[str, str]] = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/epub+zip": ".epub",
    "application/rtf": ".rtf",
    "text/rtf": ".rtf",
    "message/rfc822": ".eml",
    "application/vnd.ms-outlook": ".msg",
    "application/vnd.ms-excel": ".xls",
    "application/x-ipynb+json": ".ipynb",
}


def options_of(suffix: str) -> dict[str, Any]:
    """Further options of the parser of a suffix: one that reads several formats is told which."""
    return {"source_format": suffix[1:]} if PARSED[suffix] == "spreadsheet" else {}
