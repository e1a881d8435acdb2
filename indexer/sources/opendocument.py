"""Parses ODT: headings, paragraphs, lists, tables, notes, text boxes and formulas, without comments and deletions.

Runs inside the sandbox.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import IO, Any, Final

from lxml import etree

from indexer.sources.archive import check_archive, property_of, read_xml
from indexer.sources.base import ReadError, check_size
from indexer.sources.content import record_of
from winnow.conversion.converted import CanonicalWriter, Converted, say_in_each_row, table_of

_OFFICE: Final = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_DRAW: Final = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_STYLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_SVG: Final = "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}"
_HREF: Final = "{http://www.w3.org/1999/xlink}href"
_MATH: Final = "{http://www.w3.org/1998/Math/MathML}"
_BREAKS: Final = (f"{_TEXT}s", f"{_TEXT}tab", f"{_TEXT}line-break")
_PARENT: Final = f"{_STYLE}parent-style-name"
_SPACED: Final = (*_BREAKS, f"{_TEXT}p", f"{_TEXT}h", f"{_SVG}title", f"{_SVG}desc")
_ANNOTATION: Final = f"{_OFFICE}annotation"
_UNREAD: Final = (_ANNOTATION, f"{_TEXT}note", f"{_DRAW}text-box")
_INNER: Final = (f"{_TEXT}note-body", f"{_DRAW}text-box")
_BLOCKS: Final = (f"{_TEXT}h", f"{_TEXT}p", f"{_TABLE}table")
_CONTAINERS: Final = (
    *(f"{_TEXT}{name}" for name in ("section", "index-body", "list-item", "list-header", "numbered-paragraph")),
    f"{_DRAW}frame",
    f"{_DRAW}text-box",
)
_MAX_DEPTH: Final = 100


def parse(file: IO[bytes], *, max_chars: int) -> Iterator[dict[str, Any]]:
    """Yield one record.

    Raises:
        ReadError: the file is locked, damaged, has no text, or more than ``max_chars`` of it.
    """
    archive = check_archive(file)
    root = read_xml(archive, "content.xml")
    body = None if root is None else root.find(f"{_OFFICE}body/{_OFFICE}text")
    if body is None:
        raise ReadError("damaged", "not a text document: content.xml has no text; save it again")
    _write_formulas(archive, body)
    _drop_hidden(root, body)
    reader = _Reader(_title_styles(root))
    reader.read(body)
    check_size(len(reader.writer), max_chars, "document")
    title = property_of(archive) or reader.styled_title or next(iter(reader.headings), "")
    yield record_of(Converted(reader.writer.text(), title), "odt")


def _title_styles(root: etree._Element) -> frozenset[str]:
    """The names of the style Title, and of the ones that a program made out of it for single paragraphs."""
    derived = (each.get(f"{_STYLE}name", "") for each in root.iter(f"{_STYLE}style") if each.get(_PARENT) == "Title")
    return frozenset({"Title", *derived})


def _write_formulas(archive: zipfile.ZipFile, body: etree._Element) -> None:
    """Put the text of formulas, which are documents of their own, in their places."""
    for each in list(body.iter(f"{_DRAW}object")):
        path = each.get(_HREF, "").removeprefix("./")
        formula = read_xml(archive, f"{path}/content.xml") if path else None
        if formula is not None and formula.tag == f"{_MATH}math":
            source = formula.find(f".//{_MATH}annotation")
            each.text = " ".join("".join((formula if source is None else source).itertext()).split())


def _drop_hidden(root: etree._Element, body: etree._Element) -> None:
    """Take out text whose style hides it, as in DOCX and RTF."""
    hidden = {
        each.getparent().get(f"{_STYLE}name")
        for each in root.iter(f"{_STYLE}text-properties")
        if each.get(f"{_TEXT}display") == "none"
    }
    for each in list(body.iter(f"{_TEXT}span", f"{_TEXT}p", f"{_TEXT}h")) if hidden else ():
        if each.get(f"{_TEXT}style-name") in hidden:
            tail = each.tail
            each.clear()
            each.tail = tail


class _Reader:
    """Writes the blocks of a text document; notes and text boxes follow the block that they belong to."""

    def __init__(self, title_styles: frozenset[str]) -> None:
        self.writer = CanonicalWriter()
        self.headings: list[str] = []
        self.styled_title = ""
        self._title_styles = title_styles

    def read(self, parent: etree._Element, depth: int = 0, lists: int = 0) -> None:
        """Write what an element contains. ``lists``: how many lists it is in."""
        if depth > _MAX_DEPTH:
            message = f"the document nests more than {_MAX_DEPTH} deep: it is too complex, or hostile"
            raise ReadError("too_complex", message)
        marker = f"{'  ' * (lists - 1)}- " if lists else ""
        for each in parent:
            if each.tag in (f"{_TEXT}h", f"{_TEXT}p"):
                marker = self._block(each, marker)
            elif each.tag == f"{_TABLE}table":
                self._table(each)
            elif each.tag == f"{_TEXT}list":
                self.read(each, depth + 1, lists + 1)
            elif each.tag in _CONTAINERS:
                self.read(each, depth + 1, lists)
            if each.tag in _BLOCKS:
                for inner in _inner(each):
                    self.read(inner, depth + 1)

    def _block(self, element: etree._Element, marker: str) -> str:
        """Write a heading or paragraph; returns the mark of the next paragraph of the same item."""
        text = _plain(element)
        if not text:
            return marker
        if element.tag == f"{_TEXT}h":
            level = element.get(f"{_TEXT}outline-level", "1")
            self.headings.append(text)
            self.writer.heading(int(level) if level.isdecimal() else 1, text)
            return marker
        if element.get(f"{_TEXT}style-name") in self._title_styles:
            self.styled_title = self.styled_title or text
        self.writer.add(f"{marker}{text}", tight=bool(marker))
        return " " * len(marker)

    def _table(self, table: etree._Element) -> None:
        cells = [
            list(row.iter(f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"))
            for row in table.iter(f"{_TABLE}table-row")
        ]
        rows = [[_plain(cell) for cell in row] for row in cells]
        say_in_each_row(rows, [[int(cell.get(f"{_TABLE}number-rows-spanned", "1")) for cell in row] for row in cells])
        if any(any(row) for row in rows):
            self.writer.add(table_of(rows))


def _inner(element: etree._Element) -> list[etree._Element]:
    """The notes and text boxes of a block or table, without those in others."""
    return [
        each
        for each in element.iter(*_INNER)
        if not any(above.tag in (*_INNER, _ANNOTATION) for above in each.iterancestors())
    ]


def _plain(element: etree._Element) -> str:
    return " ".join("".join(_pieces(element)).split())


def _pieces(element: etree._Element) -> Iterator[str]:
    yield element.text or ""
    for each in element:
        if isinstance(each.tag, str) and each.tag not in _UNREAD:
            yield " " if each.tag in _SPACED else ""
            yield from _pieces(each)
        yield each.tail or ""
