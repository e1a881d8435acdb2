"""Prepares the XML of DOCX for mammoth, which reads neither formulas nor headings of other styles than its own.

Element names and their meaning: ECMA-376 part 1, 17 (WordprocessingML) and 22.1 (Office Math).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from typing import Final

from lxml import etree

from indexer.sources.archive import read_part, read_xml

M: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
MC: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"

_W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_VALUE: Final = f"{_W}val"
_PARTS: Final = ("word/document.xml", "word/footnotes.xml", "word/endnotes.xml")
_OFF: Final = ("0", "false", "off")
_MAX_LEVEL: Final = 6
_BODY_LEVEL: Final = 9  # an outline level that means none


def prepared(archive: zipfile.ZipFile) -> io.BytesIO:
    """A copy of a DOCX file in which formulas are text, text boxes paragraphs, and headings have Word's own styles.

    Hidden text is left out, as in RTF.

    Raises:
        ReadError: a part is not XML or cannot be unpacked.
    """
    levels = _levels_of_styles(archive)
    changed: dict[str, bytes] = {}
    for name in _PARTS:
        root = read_xml(archive, name)
        if root is not None:
            _prepare(root, levels)
            changed[name] = etree.tostring(root, encoding="utf-8", xml_declaration=True)
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w") as out:
        for name in dict.fromkeys(archive.namelist()):
            if name.endswith((".xml", ".rels")):  # nothing else is read
                out.writestr(name, changed.get(name) or read_part(archive, name) or b"")
    copy.seek(0)
    return copy


def _levels_of_styles(archive: zipfile.ZipFile) -> dict[str, int]:
    """The outline level, from 1, by id of a paragraph style, its own or that of the style that it is based on."""
    root = read_xml(archive, "word/styles.xml")
    based: dict[str, str] = {}
    levels: dict[str, int] = {}
    for style in root.iter(f"{_W}style") if root is not None else ():
        name = style.get(f"{_W}styleId", "")
        based[name] = _value(style.find(f"{_W}basedOn"))
        level = _value(style.find(f"{_W}pPr/{_W}outlineLvl"))
        kind, _, number = _value(style.find(f"{_W}name")).lower().rpartition(" ")
        if level.isdecimal():
            levels[name] = int(level) + 1
        elif kind == "heading" and number.isdecimal():
            levels[name] = int(number)
    for name in based:
        seen = {name}
        above = name
        while above not in levels and (above := based.get(above, "")) and above not in seen:
            seen.add(above)
        if above in levels:
            levels.setdefault(name, levels[above])
    return levels


def _value(element: etree._Element | None) -> str:
    return "" if element is None else element.get(_VALUE, "")


def _prepare(root: etree._Element, levels: Mapping[str, int]) -> None:
    for run in [each.getparent().getparent() for each in root.iter(f"{_W}vanish") if each.get(_VALUE) not in _OFF]:
        if run.tag == f"{_W}r":  # and not the mark of a paragraph
            _replace(run, None)
    for formula in list(root.iter(f"{M}oMath")):
        run = etree.Element(f"{_W}r")
        etree.SubElement(run, f"{_W}t").text = formula_text(formula)
        run.tail = formula.tail
        _replace(formula, run)
    for around in list(root.iter(f"{M}oMathPara")):
        for run in list(around):
            around.addprevious(run)
        _replace(around, None)
    for box in list(root.iter(f"{_W}txbxContent")):
        _move_out(box)
    for paragraph in root.iter(f"{_W}p"):
        _name_heading(paragraph, levels)


def _replace(element: etree._Element, by: etree._Element | None) -> None:
    parent = element.getparent()
    if parent is None:
        return
    if by is None:
        parent.remove(element)
    else:
        parent.replace(element, by)


def _move_out(box: etree._Element) -> None:
    """Put the paragraphs of a text box that has no second form, which mammoth would read, below its own paragraph."""
    around = next((each for each in box.iterancestors(f"{MC}AlternateContent")), None)
    if box.getparent().tag.endswith("}textbox") or (around is not None and around.find(f"{MC}Fallback") is not None):
        return
    paragraph = next(box.iterancestors(f"{_W}p"), None)
    if paragraph is not None:
        for each in reversed(list(box)):
            paragraph.addnext(each)


def _name_heading(paragraph: etree._Element, levels: Mapping[str, int]) -> None:
    properties = paragraph.find(f"{_W}pPr")
    if properties is None:
        return
    style, own = properties.find(f"{_W}pStyle"), _value(properties.find(f"{_W}outlineLvl"))
    level = int(own) + 1 if own.isdecimal() else levels.get(_value(style), _BODY_LEVEL + 1)
    if level > _BODY_LEVEL:
        return
    if style is None:
        style = etree.Element(f"{_W}pStyle")
        properties.insert(0, style)
    style.set(_VALUE, f"Heading{min(level, _MAX_LEVEL)}")


def formula_text(formula: etree._Element) -> str:
    """A formula on one line, as it is typed: ``E = mc^2``, ``(a+b)/c``, ``x_1``, ``√(2)``."""
    return " ".join("".join(_formula(formula)).split())


def _formula(element: etree._Element) -> Iterator[str]:
    for each in element:
        kind = str(each.tag).removeprefix(M)
        if kind == "t":
            yield each.text or ""
        elif kind in ("sSup", "sSub", "f", "rad", "sSubSup", "nary", "d", "m"):
            yield _structure(each, kind)
        elif not kind.endswith("Pr"):
            yield from _formula(each)


def _structure(element: etree._Element, kind: str) -> str:
    found = {name: element.find(f"{M}{name}") for name in ("num", "den", "e", "sub", "sup", "deg")}
    parts = {name: "".join(_formula(part)) for name, part in found.items() if part is not None}
    inner = parts.get("e", "")
    signs = (("sub", "_"), ("sup", "^"))
    scripts = "".join(f"{sign}{_grouped(parts[name])}" for name, sign in signs if parts.get(name))
    match kind:
        case "f":
            return f"{_grouped(parts.get('num', ''))}/{_grouped(parts.get('den', ''))}"
        case "rad":
            return f"{parts.get('deg', '')}√({inner})"
        case "nary":
            sign = element.find(f"{M}naryPr/{M}chr")
            return f"{'∫' if sign is None else sign.get(f'{M}val', '')}{scripts} {inner}"
        case "d":
            opening, closing = (element.find(f"{M}dPr/{M}{name}") for name in ("begChr", "endChr"))
            left = "(" if opening is None else opening.get(f"{M}val", "")
            right = ")" if closing is None else closing.get(f"{M}val", "")
            return f"{left}{', '.join(''.join(_formula(each)) for each in element.findall(f'{M}e'))}{right}"
        case "m":
            rows = (", ".join("".join(_formula(each)) for each in row) for row in element.findall(f"{M}mr"))
            return "; ".join(rows)
        case _:
            return f"{inner}{scripts}"


def _grouped(text: str) -> str:
    return text if len(text) == 1 or text.isalnum() else f"({text})"
