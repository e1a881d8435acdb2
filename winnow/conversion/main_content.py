"""Tells the content of a page from navigation, banners and footers.

A page that calls itself an article is judged by trafilatura, which is made for articles. Of any other page the element
that the page marks as its main one is kept as it is: documentation made of code and lists does not look like an
article. A page that marks nothing is judged as well, unless most of it would be lost.
"""

from __future__ import annotations

import logging
import re
from copy import deepcopy
from typing import Final

import lxml.html
from lxml import etree

from winnow.conversion.judging import Judge
from winnow.conversion.seen import drop_unseen

_PAGE: Final = re.compile(r"<(?:!doctype|html|head|body)[\s>]", re.IGNORECASE)
_ARTICLE_TYPE: Final = re.compile(r'"@type"\s*:\s*\[?\s*"(?:\w*Article|BlogPosting)"')
_ROLES: Final = "@role='navigation' or @role='banner' or @role='contentinfo' or @role='search'"
_MAX_CHARS: Final = 2_000_000


def _has_class(*names: str) -> str:
    padded = "concat(' ', normalize-space(@class), ' ')"
    return " or ".join(f"contains({padded}, ' {name} ')" for name in names)


_SIDE: Final = _has_class("sidebar", "toc", "contents-sidebar", "right-sidebar", "left-sidebar", "related")
_INSIDE: Final = "ancestor::main or ancestor::article or ancestor::*[@role='main']"
_BOILERPLATE: Final = (
    f".//nav | .//footer[not(ancestor::blockquote)] | .//*[{_ROLES}]"
    f" | .//aside[not({_INSIDE}) or @role='complementary' or {_SIDE}]"
    f" | .//header[not({_INSIDE}) and (.//nav or not(.//h1))]"
    f" | .//*[{_has_class('breadcrumb', 'breadcrumbs', 'skip-link', 'table-of-contents', 'page-toc', 'on-this-page')}]"
    f" | .//*[{_has_class('linenos', 'gutter', 'copybtn', 'sr-only', 'visually-hidden', 'edit-this-page')}]"
)
_OUTSIDE: Final = "not(ancestor::main) and not(ancestor::*[@role='main'])"
_MAIN: Final = f".//main[not(@hidden) and {_OUTSIDE}] | .//*[@role='main' and not(@hidden) and {_OUTSIDE}]"


def is_page(text: str) -> bool:
    """Whether HTML is a page rather than a fragment, which is kept whole."""
    return bool(_PAGE.search(text[:100_000]))


def main_of(tree: lxml.html.HtmlElement, *, whole: bool = False) -> lxml.html.HtmlElement:
    """The element with the content of a page: its main one, its only article with a headline, else the body.

    It is a part of a copy without what no reader sees, and without navigation, footers and side bars; call-outs inside
    of the content stay. ``whole``: nothing is boilerplate.
    """
    bare = deepcopy(tree)
    drop_unseen(bare)
    if whole:
        return bare
    full = deepcopy(bare)
    for element in bare.xpath(_BOILERPLATE):
        if element.getparent() is not None:
            element.drop_tree()
    if not bare.text_content().strip():
        return full  # everything is navigation: then that is the content
    marked = bare.xpath(_MAIN) or bare.xpath(".//article[count(//article) = 1 and .//h1]")
    filled = [element for element in marked if element.text_content().strip()]
    if len(filled) < 2:
        return filled[0] if filled else bare
    together = etree.Element("main")
    for element in filled:
        element.tail = None
        together.append(element)
    return together


def judge_of(
    page: lxml.html.HtmlElement, main: lxml.html.HtmlElement, *, is_article: bool, headline: str = ""
) -> Judge | None:
    """What tells which blocks of ``main`` to keep; ``None`` for all.

    Args:
        page: the whole page; it may be changed.
        main: the element that ``main_of`` found.
        is_article: whether the page calls itself an article.
        headline: the page's only headline, if its title does not say it; such a one is part of an article's text.
    """
    if main.tag != "html" and not is_article:
        return None
    size = len(main.text_content())
    extracted = _extracted(page) if size <= _MAX_CHARS else ""
    return Judge(extracted, is_article=is_article, headline=headline) if extracted else None


def calls_itself_article(tree: lxml.html.HtmlElement) -> bool:
    """Whether a page says that it is an article: by Open Graph, schema.org, or the classes of WordPress' posts."""
    if tree.xpath("boolean(.//meta[@property='og:type' and @content='article'])"):
        return True
    if tree.xpath("boolean(.//*[contains(@itemtype, 'schema.org') and contains(@itemtype, 'Article')])"):
        return True
    if tree.xpath(f"boolean(.//body[{_has_class('single-post')}])"):
        return True
    scripts = tree.xpath(".//script[@type='application/ld+json']/text()")
    return any(_ARTICLE_TYPE.search(script) for script in scripts)


def _extracted(page: lxml.html.HtmlElement) -> str:
    import trafilatura  # noqa: PLC0415 - slow to import, and only pages need it

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it logs every page that it finds too short
    return trafilatura.extract(page, include_comments=False, include_tables=True) or ""
