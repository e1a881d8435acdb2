"""Turns server responses into pages: what is indexed and which links are followed."""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from indexer.chunking.html import scan_html
from indexer.chunking.markup import LinearSearch, attributes_of
from indexer.sources.base import ReadError
from indexer.sources.site.fetch import FetchedPage
from indexer.sources.site.urls import normalise
from indexer.sources.titles import describe_markdown, title_of
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
_CHARSET: Final = re.compile(rb"<meta[^>]{1,200}charset=[\"']?([\w-]{1,40})|encoding=[\"']([\w-]{1,40})", re.IGNORECASE)
_DIRECTIVES: Final = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True)
class SitePage:
    """A page of a site, read and scanned.

    Attributes:
        url: where it was found, after redirects.
        text: as it is indexed.
        title: empty if it has none.
        canonical: the address that the page names as its own; empty if it names none, or this one.
        links: the addresses that it links to, normalised, in order, each once.
        index: whether robots directives of the page or its server allow indexing.
    """

    url: str
    format: TextFormat
    text: str
    title: str = ""
    canonical: str = ""
    links: tuple[str, ...] = ()
    index: bool = True


def decode_page(body: bytes, charset: str) -> str:
    """Text of a page, by its byte order mark, the server's charset, its own, or UTF-8; bad bytes are replaced."""
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


def read_page(reply: FetchedPage) -> SitePage:
    """Read a text: HTML, Markdown or plain. HTML is scanned once for title, links and robots directives.

    Raises:
        ReadError: an HTML page that may be indexed has no text of its own, or front matter is invalid.
    """
    text = decode_page(reply.body, reply.charset)
    if reply.kind in HTML:
        return _read_html(reply, _without_code(text))
    kind = TEXTS[reply.kind]
    title = describe_markdown(text)[0] if kind == "markdown" else ""
    return SitePage(reply.url, kind, text, title, index=not forbids([reply.robots_tag], "noindex"))


def forbids(directives: Sequence[str], word: str) -> bool:
    """Whether robots directives, of a page or of its server, contain ``word``, ``noindex`` or ``nofollow``."""
    said = {part for text in directives for part in _DIRECTIVES.split(text.lower())}
    return word in said or "none" in said


def _without_code(text: str) -> str:
    """Drop comments, scripts, styles and drawings, which may differ at every visit and are not searched for."""
    kept: list[str] = []
    position = 0
    search = LinearSearch(text)
    while opening := _UNREAD.search(text, position):
        found = search.find(f"</{opening['name'].lower()}" if opening["name"] else "-->", opening.end())
        if found is None:
            kept.append(text[position : opening.end()])
            position = opening.end()
            continue
        kept.append(text[position : opening.start()])
        position = text.find(">", found.start()) + 1 or len(text)
    kept.append(text[position:])
    return "".join(kept)


def _read_html(reply: FetchedPage, text: str) -> SitePage:
    scan = scan_html(text)
    base, canonical = reply.url, ""
    directives = [reply.robots_tag]
    links: dict[str, None] = {}
    for name, raw in scan.references:
        values = attributes_of(raw)
        href, rel = html.unescape(values.get("href", "")), values.get("rel", "").lower().split()
        if name == "meta" and values.get("name", "").lower() in {"robots", "winnow"}:
            directives.append(values.get("content", ""))
        elif name == "base" and href:
            base = normalise(href, reply.url) or base
        elif name == "link" and "canonical" in rel:
            canonical = canonical or normalise(href, base)
        elif name in {"a", "area"} and href and "nofollow" not in rel and len(links) < MAX_LINKS:
            links[normalise(href, base)] = None
    links.pop("", None)
    index = not forbids(directives, "noindex")
    if index and text and not scan.blocks:
        raise ReadError("no_text", "the page has no text of its own; scripts may add it, but they are not run")
    return SitePage(
        reply.url,
        "html",
        text,
        title_of(scan),
        canonical="" if canonical == reply.url else canonical,
        links=() if forbids(directives, "nofollow") else tuple(links),
        index=index,
    )
