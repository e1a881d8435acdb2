"""Parses EPUB: the chapters in the order of the book. Runs inside the sandbox."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final
from urllib.parse import unquote

from lxml import etree

from indexer.sources.archive import check_archive, read_part, read_xml, title_in
from indexer.sources.base import ReadError, check_size
from indexer.sources.content import decode, record_of
from winnow.conversion.converted import Converted
from winnow.conversion.html import convert_html
from winnow.core.marks import DocumentWarning

_CONTAINER: Final = "META-INF/container.xml"
_ROOT: Final = ".//{urn:oasis:names:tc:opendocument:xmlns:container}rootfile"
_OPF: Final = "{http://www.idpf.org/2007/opf}"
_PAGES: Final = ("application/xhtml+xml", "text/html")


def parse(file: IO[bytes], *, max_chars: int) -> Iterator[dict[str, Any]]:
    """Yield one record.

    Raises:
        ReadError: the book is locked or damaged, has no text, or more than ``max_chars`` of it.
    """
    archive = check_archive(file)
    if "META-INF/encryption.xml" in archive.namelist() and "META-INF/rights.xml" in archive.namelist():
        raise ReadError("encrypted", "the book is protected; a copy without protection can be read")
    title, chapters = _contents(archive)
    texts: list[str] = []
    left_out: list[str] = []
    length = 0
    for path in chapters:
        try:
            page, _ = decode(read_part(archive, path) or b"", "html")
        except ReadError as error:
            if error.code != "empty" or path not in archive.namelist():
                left_out.append(path)
            continue
        text = convert_html(page, whole=True).text
        if text:
            texts.append(text)
            length += len(text) + 2
        check_size(length, max_chars, "book")
    yield record_of(Converted("\n\n".join(texts), title, warnings=_warnings(left_out)), "epub")


def _warnings(left_out: Sequence[str]) -> tuple[DocumentWarning, ...]:
    if not left_out:
        return ()
    names = ", ".join(repr(posixpath.basename(path)[:50]) for path in left_out[:10])
    message = f"chapters that are missing or damaged were left out: {names}; save the book again"
    return (DocumentWarning("chapters_left_out", message, count=len(left_out)),)


def _contents(archive: zipfile.ZipFile) -> tuple[str, list[str]]:
    """Title of the book, and the paths of its chapters in reading order."""
    container = read_xml(archive, _CONTAINER)
    root = None if container is None else container.find(_ROOT)
    path = "" if root is None else root.get("full-path", "")
    package = read_xml(archive, path) if path else None
    if package is None:
        raise ReadError("damaged", "not a book: its table of contents is missing; save it again")
    folder = posixpath.dirname(path)
    items = {each.get("id"): each for each in package.iter(f"{_OPF}item") if _is_chapter(each)}
    order = [items[each.get("idref")] for each in package.iter(f"{_OPF}itemref") if each.get("idref") in items]
    return title_in(package), [
        posixpath.normpath(posixpath.join(folder, unquote(each.get("href", "")))) for each in order
    ]


def _is_chapter(item: etree._Element) -> bool:
    """Whether an item is a page of the book, and not its table of contents (EPUB 3.3, D.8.1)."""
    return item.get("media-type") in _PAGES and "nav" not in item.get("properties", "").split()
