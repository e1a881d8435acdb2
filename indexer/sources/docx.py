"""Parses DOCX: headings, lists, tables, formulas, text boxes and notes, without images. Runs inside the sandbox."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import IO, Any, Final

import mammoth

from indexer.sources.archive import check_archive, property_of
from indexer.sources.base import check_size
from indexer.sources.content import record_of
from indexer.sources.word_xml import prepared
from winnow.conversion.html import convert_html

_STYLES: Final = "p[style-name='Title'] => h1.title:fresh"
_STYLED_TITLE: Final = re.compile(r'<h1 class="title">(.*?)</h1>')
_BACK: Final = re.compile(r'<a href="#(?:foot|end)note-ref-[^"<>]*">↑</a>')
_TAG: Final = re.compile(r"<[^<>]*+>")


def parse(file: IO[bytes], *, max_chars: int) -> Iterator[dict[str, Any]]:
    """Yield one record; the title is the document's property, else its Title style, else its first heading.

    Raises:
        ReadError: the file is locked, not DOCX, too large when unpacked, or has no text.
    """
    archive = check_archive(file)
    title = property_of(archive)
    result = mammoth.convert_to_html(
        prepared(archive), style_map=_STYLES, include_embedded_style_map=False, convert_image=lambda _: []
    )
    check_size(len(result.value), max_chars, "document")
    found = convert_html(_BACK.sub("", result.value))
    styled = next((_TAG.sub("", match[1]).strip() for match in _STYLED_TITLE.finditer(result.value)), "")
    yield record_of(replace(found, title=title or html.unescape(styled) or found.title), "docx")
