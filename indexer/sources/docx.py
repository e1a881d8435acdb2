"""Parses DOCX: headings, lists and tables, without images. Runs inside the sandbox."""

from __future__ import annotations

import html
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import IO, Any, Final

import mammoth
from lxml import etree

from indexer.sources.base import ReadError
from indexer.sources.content import record_of
from winnow.conversion.html import convert_html

MAX_UNPACKED_BYTES: Final = 256 * 1024 * 1024

_TITLE: Final = "{http://purl.org/dc/elements/1.1/}title"
_NO_TITLE: Final = re.compile(r"(?i)(?:untitled|microsoft word|word document|document\d*)$|.*\.(?:docx?|dotx?|rtf)$")
_STYLES: Final = "p[style-name='Title'] => h1.title:fresh"
_STYLED_TITLE: Final = re.compile(r'<h1 class="title">(.*?)</h1>')
_TAG: Final = re.compile(r"<[^<>]*+>")
_OLE: Final = b"\xd0\xcf\x11\xe0"  # the container of encrypted documents, and of the old .doc


def parse(file: IO[bytes], *, max_chars: int) -> Iterator[dict[str, Any]]:
    """Yield one record; the title is the document's property, else its Title style, else its first heading.

    Raises:
        ReadError: the file is locked, not DOCX, too large when unpacked, or has no text.
    """
    if file.read(4) == _OLE:
        raise ReadError("encrypted", "the file is encrypted, or an old .doc; save it as DOCX without a password")
    _check(file)
    file.seek(0)
    result = mammoth.convert_to_html(
        file, style_map=_STYLES, include_embedded_style_map=False, convert_image=lambda _: []
    )
    if len(result.value) > max_chars:
        raise ReadError("too_large", f"the document has more than {max_chars:,} characters; split it")
    found = convert_html(result.value)
    styled = next((_TAG.sub("", match[1]).strip() for match in _STYLED_TITLE.finditer(result.value)), "")
    yield record_of(replace(found, title=_property(file) or html.unescape(styled) or found.title), "docx")


def _property(file: IO[bytes]) -> str:
    """The title among the properties of an Office document (``dc:title``); empty if it has none."""
    with zipfile.ZipFile(file) as archive:
        try:
            root = etree.fromstring(archive.read("docProps/core.xml"), etree.XMLParser(resolve_entities=False))
        except (KeyError, etree.XMLSyntaxError):
            return ""
    title = " ".join((root.findtext(_TITLE) or "").split())
    return "" if _NO_TITLE.match(title) else title


def _check(file: IO[bytes]) -> None:
    """Refuse archives that are too large when unpacked: ``zipfile`` unpacks no more than the declared sizes."""
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except zipfile.BadZipFile as error:
        raise ReadError("damaged", f"not a readable DOCX file ({error}); save it again") from None
    if unpacked > MAX_UNPACKED_BYTES:
        size, limit = f"{unpacked / 1024 / 1024:,.0f}", MAX_UNPACKED_BYTES // 1024 // 1024
        raise ReadError("too_large", f"the file unpacks to {size} MiB, the limit is {limit}: split it")
