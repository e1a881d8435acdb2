"""Changes the tree of a page to what a browser shows of it: without what no reader sees, in elements that keep lines.

Every function changes the tree that it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Final

import lxml.html

from winnow.conversion.converted import REPEATED_CHARS
from winnow.conversion.markup import INLINE

HEADINGS: Final = ("h1", "h2", "h3", "h4", "h5", "h6")

_UNSEEN: Final = """script style template iframe object embed canvas math svg select textarea datalist audio video
input title head""".split()
_ANY_HEADING: Final = " or ".join(f"self::{name}" for name in HEADINGS)
_HEADED: Final = f"{_ANY_HEADING} or self::summary or self::dt"
_OPENS: Final = (
    "(@aria-expanded and not(@aria-haspopup)) or contains(@class, 'accordion') or contains(@class, 'collapsible')"
    " or contains(@class, 'faq')"
)
_IN_SENTENCE: Final = "parent::*[self::p or self::li][text()[normalize-space()]]"
_HOLDS_BLOCKS: Final = ".//p or .//ul or .//ol or .//table or .//pre"
_CONTROLS: Final = (
    f".//button[not(ancestor::*[{_HEADED}]) and not(.//*[{_HEADED}])"
    f" and not({_OPENS}) and not({_IN_SENTENCE}) and not({_HOLDS_BLOCKS})]"
)
_ICONS: Final = ".//*[contains(@class, 'material-icons') or contains(@class, 'material-symbols')]"
_SHOWN_MATH: Final = ".//math[not(ancestor::*[contains(@class, 'katex') or contains(@class, 'mwe-math')])]"
_LAYOUT: Final = (
    f".//table[@role='presentation' or .//td//*[{_ANY_HEADING}]"
    " or (not(.//th) and .//td//table) or (not(.//tr[count(td[normalize-space()]) > 1]) and .//td//pre)]"
)
_PARTS_OF_TABLES: Final = frozenset({"table", "thead", "tbody", "tfoot", "tr", "td", "th"})
_MAX_COPIES: Final = 5_000  # of cells of a table
_MAX_SPAN: Final = 1_000
_BLOCKS_IN_CODE: Final = frozenset({"div", "p", "li", "tr"})
_SHOWN_AS: Final = {
    **dict.fromkeys(("noframes", "details"), "div"),
    **dict.fromkeys(("xmp", "listing", "plaintext"), "pre"),
    **dict.fromkeys(("figcaption", "legend", "summary"), "p"),
}


def drop_unseen(tree: lxml.html.HtmlElement) -> None:
    """Remove what no reader sees, and the controls: scripts, styles, drawings, buttons that are not part of a text.

    A page that is empty without scripts keeps what it shows then.
    """
    for template in list(tree.iter("template")):
        if template.get("shadowrootmode") or template.get("shadowroot"):
            template.tag = "div"
    for formula in tree.xpath(_SHOWN_MATH):
        _write_formula(formula)
    _drop([*tree.xpath(_CONTROLS), *tree.xpath(_ICONS), *tree.iter(*_UNSEEN)])
    alternatives = list(tree.iter("noscript"))
    if any(text.strip() for text in tree.xpath(".//text()[not(ancestor::noscript)]")):
        _drop(alternatives)
    for alternative in alternatives:
        alternative.tag = "div"


def _drop(elements: Iterable[lxml.html.HtmlElement]) -> None:
    for element in elements:
        if element.getparent() is not None:
            element.drop_tree()


def _write_formula(formula: lxml.html.HtmlElement) -> None:
    """Put the text of MathML in its place: its TeX if it names it, else its signs."""
    source = formula.xpath(".//annotation[contains(@encoding, 'tex')]")
    for note in [] if source else formula.xpath(".//annotation | .//annotation-xml"):
        note.drop_tree()
    text = "".join((source[0] if source else formula).itertext())
    formula.tail = f"{' '.join(text.split())}{formula.tail or ''}"


def as_shown(tree: lxml.html.HtmlElement) -> None:
    """Give elements that a converter does not know the form of those that it does."""
    for element in tree.iter(*_SHOWN_AS):
        element.tag = _SHOWN_AS[element.tag]
    for button in tree.iter("button"):
        button.tag = "span" if button.xpath(f"boolean({_IN_SENTENCE})") else "div"
    for element in tree.xpath(".//*[@role='heading'][self::div or self::p or self::span]"):
        level = element.get("aria-level", "")
        element.tag = f"h{level}" if level in ("1", "2", "3", "4", "5", "6") else "h2"
    for element in tree.iter():
        if "-" in str(element.tag) and not _is_in_line(element):
            element.tag = "div"
    for table in reversed(tree.xpath(_LAYOUT)):
        _unfold(table)
    for table in tree.xpath(".//table[.//*[@rowspan]]"):
        _say_in_each_row(table)
    for caption in list(tree.iter("caption")):
        _move_out(caption)


def _is_in_line(element: lxml.html.HtmlElement) -> bool:
    """Whether there is text beside an element."""
    parent = element.getparent()
    if parent is None:
        return False
    return bool("".join([parent.text or "", *(each.tail or "" for each in parent)]).strip())


def _unfold(table: lxml.html.HtmlElement) -> None:
    """Read a table that lays a page out as its cells, one after the other."""
    for part in list(table.iter(*_PARTS_OF_TABLES)):
        if part is table or next(part.iterancestors("table"), None) is table:
            part.tag = "div"


def _say_in_each_row(table: lxml.html.HtmlElement) -> None:
    """Put a copy of a cell that spans rows into each of them, as merged cells of sheets are said."""
    below: dict[int, tuple[int, lxml.html.HtmlElement]] = {}  # by column, the rows left of a cell, and the cell
    group = None
    copies = 0
    for row in [each for each in table.iter("tr") if next(each.iterancestors("table")) is table]:
        if row.getparent() is not group:  # a cell ends with its group of rows
            group = row.getparent()
            below.clear()
        begun: dict[int, tuple[int, lxml.html.HtmlElement]] = {}
        column = 0
        for cell in [*row.iterchildren("td", "th"), None]:
            while below and copies < _MAX_COPIES and (column in below or (cell is None and max(below) > column)):
                rows, source = below.pop(column, (0, None))
                copy = lxml.html.Element("td") if source is None or _is_long(source) else deepcopy(source)
                copy.tail = None
                row.insert(len(row) if cell is None else row.index(cell), copy)
                copies += 1
                if source is not None and rows > 1:
                    begun[column] = rows - 1, source
                column += 1 if source is None else _span(source, "colspan")
            if cell is not None:
                if (rows := _span(cell, "rowspan")) > 1:
                    begun[column] = rows - 1, cell
                cell.attrib.pop("rowspan", None)
                column += _span(cell, "colspan")
        below |= begun


def _is_long(cell: lxml.html.HtmlElement) -> bool:
    return len(cell.text_content()) > REPEATED_CHARS


def _span(cell: lxml.html.HtmlElement, name: str) -> int:
    """How many rows or columns a cell spans, as browsers limit it."""
    value = cell.get(name, "1").strip()
    return min(int(value), _MAX_SPAN) if value.isascii() and value.isdecimal() and len(value) < 6 and int(value) else 1


def _move_out(caption: lxml.html.HtmlElement) -> None:
    table = next(caption.iterancestors("table"), None)
    caption.tag = "p"
    if table is not None and table.getparent() is not None:
        tail, caption.tail = caption.tail, None
        if tail and tail.strip():
            caption.text = f"{caption.text or ''} {tail}"
        table.addprevious(caption)


def heading_words(element: lxml.html.HtmlElement) -> str:
    """The text of an element; where a line is broken or a block ends there is a space."""
    parts = [element.text or ""]
    for child in element:
        gap = "" if child.tag in INLINE or child.tag in ("button", "wbr") else " "
        parts += [gap, heading_words(child), gap, child.tail or ""]
    return "".join(parts)


def code_of(element: lxml.html.HtmlElement) -> Iterator[str]:
    """The text of code: ``<br>`` ends a line, and so does an element that is shown as a block."""
    yield element.text or ""
    for child in element:
        if child.tag == "br":
            yield "\n"
        elif child.tag in _BLOCKS_IN_CODE:
            yield "".join(code_of(child)).removesuffix("\n")
            yield "\n"
        else:
            yield from code_of(child)
        yield child.tail or ""
