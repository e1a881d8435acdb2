"""From what a server sent to what is indexed and followed."""

from __future__ import annotations

import codecs
import html
import re
from dataclasses import dataclass, replace
from typing import Final

from indexer.chunking.structure.markup import attributes_of, match_tag
from indexer.sources.site.fetch import Reply
from indexer.sources.site.urls import normalise
from winnow.core.types import TextFormat

HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
TEXTS: Final[dict[str, TextFormat]] = {"text/plain": "text", "text/markdown": "markdown"}
FILES: Final = {
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
}
KINDS: Final = frozenset({*HTML, *TEXTS, *FILES})
MAX_LINKS: Final = 5_000

_UNREAD: Final = re.compile(r"<!--|<(?P<name>script|style|svg|noscript|template)(?=[\s/>])", re.IGNORECASE)
_TAGS: Final = re.compile(r"<(?=(?:a|area|base|link|meta)[\s/])", re.IGNORECASE)
_CHARSET: Final = re.compile(rb"<meta[^>]{1,200}charset=[\"']?([\w-]{1,40})|encoding=[\"']([\w-]{1,40})", re.IGNORECASE)
_DIRECTIVES: Final = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True)
class Page:
    """A page, read.

    Attributes:
        url: where it was found, after redirects.
        text: as it is indexed; empty for a file that has yet to be parsed.
        title: empty where it is for the reader of the format to find.
        canonical: the address that the page names as its own; empty where it names none, or this one.
        links: addresses that it links to, in one spelling, in order, each once.
        index: whether it may be indexed, by what it says itself.
    """

    url: str
    format: TextFormat
    text: str
    title: str = ""
    canonical: str = ""
    links: tuple[str, ...] = ()
    index: bool = True


def decode(body: bytes, charset: str) -> str:
    """Text of a page: by its mark, what the server says, what the page says, or UTF-8; broken bytes are replaced."""
    if body.startswith(codecs.BOM_UTF8):
        return body.decode("utf-8-sig", errors="replace")
    named = _CHARSET.search(body[:2048])
    inner = next((name for name in named.groups() if name), b"").decode() if named else ""
    for name in (charset, inner):
        try:
            return body.decode(codecs.lookup(name).name, errors="replace") if name else body.decode()
        except (LookupError, UnicodeDecodeError):
            continue
    return body.decode(errors="replace")


def read_page(reply: Reply) -> Page:
    """Read a reply of one of ``KINDS``. Never fails: what is no markup is text."""
    robots = {reply.robots_tag}
    if reply.kind in TEXTS:
        return Page(reply.url, TEXTS[reply.kind], decode(reply.body, reply.charset), index=_may_index(robots))
    if reply.kind not in HTML:
        return Page(reply.url, "html", "", index=_may_index(robots))
    return _read_html(Page(reply.url, "html", _without_code(decode(reply.body, reply.charset))), robots)


def _without_code(text: str) -> str:
    """Drop comments, scripts, styles and drawings: they change at every visit and nobody searches for them."""
    kept: list[str] = []
    position = 0
    absent: set[str] = set()
    while opening := _UNREAD.search(text, position):
        closing = f"</{opening['name'].lower()}" if opening["name"] else "-->"
        end = -1 if closing in absent else _find(text, closing, opening.end())
        if end < 0:
            absent.add(closing)
            kept.append(text[position : opening.end()])
            position = opening.end()
            continue
        kept.append(text[position : opening.start()])
        after = text.find(">", end)
        position = after + 1 if after >= 0 else len(text)
    kept.append(text[position:])
    return "".join(kept)


def _find(text: str, closing: str, start: int) -> int:
    found = re.compile(re.escape(closing), re.IGNORECASE).search(text, start)
    return found.start() if found else -1


def _read_html(page: Page, robots: set[str]) -> Page:
    base = page.url
    canonical = ""
    links: dict[str, None] = {}
    for opening in _TAGS.finditer(page.text):
        tag = match_tag(page.text, opening.start())
        if tag is None:
            continue
        name, values = tag["name"].lower(), attributes_of(tag["attributes"])
        href, rel = html.unescape(values.get("href", "")), values.get("rel", "").lower().split()
        if name == "meta" and values.get("name", "").lower() in {"robots", "winnow"}:
            robots.add(values.get("content", ""))
        elif name == "base" and href:
            base = normalise(href, page.url) or base
        elif name == "link" and "canonical" in rel:
            canonical = canonical or normalise(href, base)
        elif name in {"a", "area"} and href and "nofollow" not in rel and len(links) < MAX_LINKS:
            links[normalise(href, base)] = None
    links.pop("", None)
    follow = not _says(robots, "nofollow")
    return replace(
        page,
        canonical="" if canonical == page.url else canonical,
        links=tuple(links) if follow else (),
        index=_may_index(robots),
    )


def _may_index(robots: set[str]) -> bool:
    return not _says(robots, "noindex")


def _says(robots: set[str], word: str) -> bool:
    said = {part for text in robots for part in _DIRECTIVES.split(text.lower())}
    return word in said or "none" in said
