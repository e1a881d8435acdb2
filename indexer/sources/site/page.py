"""Turns server responses into pages: what is indexed and which links are followed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import lxml.html

from indexer.sources.base import ReadError
from indexer.sources.content import decode, read_text, record_of
from indexer.sources.site.fetch import FetchedPage
from indexer.sources.site.urls import normalise
from winnow.conversion.html import convert_tree, parse_html

HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
TEXTS: Final[dict[str, str]] = {"text/plain": "text", "text/markdown": "markdown"}
FILES: Final = {
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
}
KINDS: Final = frozenset({*HTML, *TEXTS, *FILES})
MAX_LINKS: Final = 5_000

_REFRESH: Final = re.compile(r"\s*(\d+(?:\.\d*)?)\s*[;,\s]\s*(?:url\s*=\s*)?[\"']?([^\"']+)[\"']?\s*", re.IGNORECASE)
_SOON: Final = 10.0  # seconds: a page that is left that quickly is a redirect
_DIRECTIVES: Final = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True)
class SitePage:
    """A page of a site, read and converted.

    Attributes:
        url: where it was found, after redirects.
        content: a record of its text, without id and address; empty if there is nothing to index.
        canonical: the address that the page names as its own; empty if it names none, or this one.
        links: the addresses that it links to, normalised, in order, each once.
        index: whether robots directives of the page or its server allow indexing.
        refresh: the address that the page sends its readers to; empty if it keeps them.
        others: further addresses with the same text.
    """

    url: str
    content: Mapping[str, Any]
    canonical: str = ""
    links: tuple[str, ...] = ()
    index: bool = True
    refresh: str = ""
    others: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The canonical text; empty if there is nothing to index."""
        return str(self.content.get("text", ""))


def read_page(reply: FetchedPage) -> SitePage:
    """Read a text: HTML, Markdown or plain. HTML is parsed once for text, title, links and robots directives.

    Of any other type the page is empty.

    Raises:
        ReadError: it is not text, or an HTML page that may be indexed has no text of its own.
    """
    if reply.kind in HTML:
        return _read_html(reply)
    if reply.kind not in TEXTS:
        return SitePage(reply.url, {}, index=False)
    content = read_text(reply.body, TEXTS[reply.kind], reply.charset)
    return SitePage(reply.url, content, index=not forbids([reply.robots_tag], "noindex"))


def forbids(directives: Sequence[str], word: str) -> bool:
    """Whether robots directives, of a page or of its server, contain ``word``, ``noindex`` or ``nofollow``."""
    said = {part for text in directives for part in _DIRECTIVES.split(text.lower())}
    return word in said or "none" in said


def _read_html(reply: FetchedPage) -> SitePage:
    text, warnings = decode(reply.body, "html", reply.charset)
    tree = parse_html(text)
    if tree is None:
        raise ReadError("no_text", "the page is empty")
    bases = (normalise(each.get("href", ""), reply.url) for each in tree.iter("base"))
    base = next(filter(None, bases), reply.url)
    directives = [reply.robots_tag, *_metas(tree, "name", "robots", "winnow")]
    index = not forbids(directives, "noindex")
    refresh = next((found for each in _metas(tree, "http-equiv", "refresh") if (found := _refreshed(each, base))), "")
    named = [each for each in tree.iter("link") if "canonical" in each.get("rel", "").lower().split()]
    canonical = next((found for each in named if (found := normalise(each.get("href", ""), base))), "")
    links = () if forbids(directives, "nofollow") else _links(tree, base)
    content: Mapping[str, Any] = {}
    if index and (not refresh or refresh == reply.url):
        converted = convert_tree(tree, text)
        if not converted.text.strip():
            raise ReadError("no_text", "the page has no text of its own; scripts may add it, but they are not run")
        content = record_of(converted, "html", warnings)
    return SitePage(
        reply.url,
        content,
        canonical="" if canonical == reply.url else canonical,
        links=links,
        index=index,
        refresh="" if refresh == reply.url else refresh,
    )


def _metas(tree: lxml.html.HtmlElement, attribute: str, *names: str) -> list[str]:
    return [each.get("content", "") for each in tree.iter("meta") if each.get(attribute, "").lower() in names]


def _refreshed(content: str, base: str) -> str:
    """The address that ``<meta http-equiv=refresh>`` leads to, if it does so soon."""
    found = _REFRESH.fullmatch(content)
    return normalise(found[2], base) if found and float(found[1]) <= _SOON else ""


def _links(tree: lxml.html.HtmlElement, base: str) -> tuple[str, ...]:
    links: dict[str, None] = {}
    for each in tree.iter("a", "area"):
        href = each.get("href", "")
        if href and "nofollow" not in each.get("rel", "").lower().split() and len(links) < MAX_LINKS:
            links[normalise(href, base)] = None
    links.pop("", None)
    return tuple(links)
