"""Marks blocks of a page with numbers of their places, by which those of one text are told from what is around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import lxml.html

from winnow.conversion.judging import CLOSE, INSIDE, OPEN
from winnow.conversion.markup import INLINE

_LINKED_SHARE: Final = 0.3  # of a block's text, above which it is navigation
_BLOCKS: Final = ("p", "ul", "ol", "dl", "table", "pre", "blockquote", "address", "figure")


def mark_places(tree: lxml.html.HtmlElement, *, beside: bool) -> None:
    """Put the number of its place at the end of each paragraph: those of one text have parents of one kind.

    A list of prose has the place of a paragraph beside it.

    Args:
        tree: the content, which is changed.
        beside: also number the element that blocks of any kind are in.
    """
    places: dict[object, int] = {}

    def mark(end: lxml.html.HtmlElement, own: str, paragraph: lxml.html.HtmlElement) -> None:
        around = (f"{each.tag} {each.get('class', '')}" for each in list(paragraph.iterancestors())[:2])
        _append(end, f"{OPEN}{places.setdefault((own, *around), len(places))}{CLOSE}")

    for paragraph in tree.iter("p"):
        mark(paragraph, f"p {paragraph.get('class', '')}", paragraph)
    for each in tree.iter("ul", "ol"):
        if len(each) and _is_prose(each):
            mark(each[-1], "p ", each)
    if beside:
        _wrap_loose_text(tree)
        for block in list(tree.iter(*_BLOCKS)):
            parent = block.getparent()
            if parent is not None and _is_prose(block):
                number = f"{OPEN}{INSIDE}{places.setdefault(parent, len(places))}{CLOSE}"
                for end in _ends(block):
                    _append(end, number)


def _append(end: lxml.html.HtmlElement, mark: str) -> None:
    if len(end):
        end[-1].tail = f"{(end[-1].tail or '').rstrip()}{mark}"
    else:
        end.text = f"{(end.text or '').rstrip()}{mark}"


def _ends(block: lxml.html.HtmlElement) -> Iterator[lxml.html.HtmlElement]:
    """The elements at whose ends marks of a block stay in each part that is written of it."""
    if block.tag in ("dl", "ul", "ol"):
        yield from block.iter("dt", "dd") if block.tag == "dl" else block.iterchildren("li")
    elif block.tag == "table":
        yield from block.xpath(".//tr[1]/*[last()]")
    else:
        yield block


def _is_prose(element: lxml.html.HtmlElement) -> bool:
    """Whether a block reads as text: few of its words are links."""
    chars = len(element.text_content())
    return sum(len(link.text_content()) for link in element.iter("a")) < _LINKED_SHARE * chars


def _wrap_loose_text(tree: lxml.html.HtmlElement) -> None:
    """Put loose text beside blocks into paragraphs."""
    for parent in [tree, *tree.iter("body", "div", "section", "article", "center", "td")]:
        if not any(child.tag in _BLOCKS or child.tag[:1] == "h" for child in parent):
            continue
        paragraph = None
        if (parent.text or "").strip():
            paragraph = lxml.html.Element("p")
            paragraph.text, parent.text = parent.text, None
            parent.insert(0, paragraph)
        for child in list(parent):
            if child is paragraph:
                continue
            if paragraph is not None and (child.tag in INLINE or child.tag == "br"):
                paragraph.append(child)
                continue
            paragraph = None
            if (child.tail or "").strip():
                paragraph = lxml.html.Element("p")
                paragraph.text, child.tail = child.tail, None
                child.addnext(paragraph)
