"""Parses PPTX: a section for each slide, with its title, text, tables and notes. Runs inside the sandbox."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from typing import IO, Any, Final

from lxml import etree

from indexer.sources.archive import check_archive, property_of, read_xml
from indexer.sources.base import ReadError, check_size
from indexer.sources.content import record_of
from indexer.sources.word_xml import MC, M, formula_text
from winnow.conversion.converted import CanonicalWriter, Converted, say_in_each_row, table_of

_A: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P: Final = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_TITLES: Final = ("title", "ctrTitle")
_UNREAD: Final = ("sldNum", "dt", "ftr")


def parse(file: IO[bytes], *, max_chars: int) -> Iterator[dict[str, Any]]:
    """Yield one record.

    Raises:
        ReadError: the file is locked, damaged, has no text, or more than ``max_chars`` of it.
    """
    archive = check_archive(file)
    writer = CanonicalWriter()
    first = ""
    for number, path in enumerate(_slides(archive), 1):
        slide = read_xml(archive, path)
        if slide is None:
            continue
        title = _write_slide(writer, number, slide)
        first = first or title
        parts = sorted((kind, target) for _, kind, target in _relations(archive, path))  # diagrams before notes
        for kind, target in parts:
            if kind in ("diagramData", "notesSlide") and (page := read_xml(archive, target)) is not None:
                bodies = (shape for shape in page.iter(f"{_P}sp") if _placeholder(shape) == "body")
                for element in [page] if kind == "diagramData" else bodies:
                    _write_text(writer, element)
        check_size(len(writer), max_chars, "presentation")
    yield record_of(Converted(writer.text(), property_of(archive) or first, marks=tuple(writer.marks)), "pptx")


def _slides(archive: zipfile.ZipFile) -> list[str]:
    """The paths of the slides, in the order of the presentation."""
    root = read_xml(archive, "ppt/presentation.xml")
    if root is None:
        raise ReadError("damaged", "not a presentation: ppt/presentation.xml is missing; save it again")
    targets = {name: target for name, _, target in _relations(archive, "ppt/presentation.xml")}
    return [targets[each.get(f"{_R}id")] for each in root.iter(f"{_P}sldId") if each.get(f"{_R}id") in targets]


def _relations(archive: zipfile.ZipFile, path: str) -> Iterator[tuple[str, str, str]]:
    """Id, kind and path of the parts that a part refers to."""
    folder, name = posixpath.split(path)
    root = read_xml(archive, f"{folder}/_rels/{name}.rels")
    for each in root if root is not None else ():
        kind, target = each.get("Type", "").rpartition("/")[2], each.get("Target", "")
        yield each.get("Id", ""), kind, posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")


def _write_slide(writer: CanonicalWriter, number: int, slide: etree._Element) -> str:
    """Write a slide; returns its title."""
    shapes = list(slide.iter(f"{_P}sp", f"{_P}graphicFrame"))
    titles = [text for each in shapes if _placeholder(each) in _TITLES and (text := " ".join(_paragraphs(each)))]
    title = titles[0] if titles else ""
    writer.heading(2, title or f"Slide {number}", marks=[("slide", number)])
    for shape in shapes:
        if _placeholder(shape) in (*_TITLES, *_UNREAD):
            continue
        table = shape.find(f".//{_A}tbl")
        if table is not None:
            cells = [list(row.iter(f"{_A}tc")) for row in table.iter(f"{_A}tr")]
            rows = [[" ".join(_paragraphs(cell)) for cell in row] for row in cells]
            say_in_each_row(rows, [[int(cell.get("rowSpan", "1")) for cell in row] for row in cells])
            if any(any(row) for row in rows):
                writer.add(table_of(rows))
        else:
            _write_text(writer, shape)
    return title


def _write_text(writer: CanonicalWriter, shape: etree._Element) -> None:
    lines = list(_paragraphs(shape))
    for line in lines:
        writer.add(f"- {line}" if len(lines) > 1 else line, tight=len(lines) > 1)


def _placeholder(shape: etree._Element) -> str:
    found = shape.find(f".//{_P}nvPr/{_P}ph")
    return "" if found is None else found.get("type", "body")


def _paragraphs(element: etree._Element) -> Iterator[str]:
    for paragraph in element.iter(f"{_A}p"):
        text = "".join(_pieces(paragraph))
        if text.strip():
            yield " ".join(text.split())


def _pieces(element: etree._Element) -> Iterator[str]:
    """The text of a paragraph; of content in two forms the first one that has text, such as a formula."""
    for each in element:
        if each.tag == f"{_A}br":
            yield " "
        elif each.tag == f"{_A}t":
            yield each.text or ""
        elif each.tag == f"{M}oMath":
            yield formula_text(each)
        elif each.tag == f"{MC}AlternateContent":
            yield next((text for form in each if (text := "".join(_pieces(form))).strip()), "")
        else:
            yield from _pieces(each)
