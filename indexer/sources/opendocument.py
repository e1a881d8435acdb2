"""Parses ODT: headings, paragraphs, lists and tables. Runs inside the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any, Final

from lxml import etree

from indexer.sources.archive import check_archive, property_of, read_xml
from indexer.sources.base import ReadError
from indexer.sources.content import record_of
from winnow.conversion.converted import CanonicalWriter, Converted, table_of

_OFFICE: Final = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_BREAKS: Final = (f"{_TEXT}s", f"{_TEXT}tab", f"{_TEXT}line-break")
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
    writer = CanonicalWriter()
    headings: list[str] = []
    _write(writer, body, headings, 0)
    if len(writer) > max_chars:
        raise ReadError("too_large", f"the document has more than {max_chars:,} characters; split it")
    title = property_of(archive) or next(iter(headings), "")
    yield record_of(Converted(writer.text(), title), "odt")


def _write(writer: CanonicalWriter, parent: etree._Element, headings: list[str], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ReadError("too_complex", f"the document nests more than {_MAX_DEPTH} deep: it is too complex, or hostile")
    for each in parent:
        if each.tag == f"{_TEXT}h" and (title := _plain(each)):
            level = each.get(f"{_TEXT}outline-level", "1")
            headings.append(title)
            writer.heading(int(level) if level.isdecimal() else 1, title)
        elif each.tag == f"{_TEXT}p" and (text := _plain(each)):
            writer.add(text)
        elif each.tag == f"{_TEXT}list":
            for text in filter(None, map(_plain, each.iter(f"{_TEXT}p"))):
                writer.add(f"- {text}", tight=True)
        elif each.tag == f"{_TABLE}table":
            _write_table(writer, each)
        elif each.tag in (f"{_TEXT}section", f"{_TEXT}index-body"):
            _write(writer, each, headings, depth + 1)


def _write_table(writer: CanonicalWriter, table: etree._Element) -> None:
    rows = [[_plain(cell) for cell in row.iter(f"{_TABLE}table-cell")] for row in table.iter(f"{_TABLE}table-row")]
    if any(any(row) for row in rows):
        writer.add(table_of(rows))


def _plain(element: etree._Element) -> str:
    parts: list[str] = [element.text or ""]
    for each in element.iterdescendants():
        if isinstance(each.tag, str):
            parts += [" " if each.tag in _BREAKS or each.tag == f"{_TEXT}p" else "", each.text or ""]
        parts.append(each.tail or "")
    return " ".join("".join(parts).split())
