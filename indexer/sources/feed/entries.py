"""Parses RSS 0.9 to 2.0, RDF and Atom: each entry with its content as canonical text. Runs inside the sandbox."""

from __future__ import annotations

import calendar
import hashlib
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

import feedparser
import lxml.html

from indexer.sources.base import ReadError
from indexer.sources.content import record_of
from winnow.conversion.convert import convert_text

MAX_TAGS: Final = 100

_FORMATS: Final = {"text/plain": "text", "text/html": "html", "application/xhtml+xml": "html"}
_FEEDS: Final = frozenset({"application/rss+xml", "application/atom+xml", "application/rdf+xml"})


def parse(file: IO[bytes], *, url: str, content_type: str) -> Iterator[dict[str, Any]]:
    """Yield ``{"home": address of the feed's site}``, then every entry.

    An entry has ``id``, ``url``, ``title``, ``metadata``, ``content`` (a record as ``record_of`` returns, or nothing)
    and ``is_whole``: false if the content is a summary.

    Args:
        file: the feed.
        url: its address, which relative links start from.
        content_type: the header with which the server sent it.

    Raises:
        ReadError: it is not a feed; the message names the feeds of an HTML page.
    """
    data = file.read()
    headers = {"content-location": url, "content-type": content_type}
    found = feedparser.parse(data, response_headers=headers, sanitize_html=False)  # what is kept is text
    if not found.version and not found.entries:
        raise ReadError("not_a_feed", f"the address returned neither RSS nor Atom{_feeds_of(data, url)}")
    yield {"home": str(found.feed.get("link", ""))}
    for entry in found.entries:
        yield _entry(entry)


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    whole = [part for part in entry.get("content", []) if part.get("type") in _FORMATS and part.get("value")]
    summary = entry.get("summary_detail")
    link = str(entry.get("link", ""))
    return {
        "id": str(entry.get("id") or link or _digest(entry)),
        "url": link,
        "title": _plain(str(entry.get("title", ""))),
        "metadata": _metadata(entry),
        "content": _content(whole[0] if whole else summary),
        "is_whole": bool(whole),
    }


def _digest(entry: Mapping[str, Any]) -> str:
    """An id for an entry that has none, nor an address: it stays the same while title and date do."""
    named = f"{entry.get('title', '')}\0{entry.get('published', '')}"
    return f"sha256:{hashlib.sha256(named.encode(errors='replace')).hexdigest()[:32]}"


def _content(part: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not part or not str(part.get("value", "")).strip():
        return None
    source_format = _FORMATS.get(part.get("type", ""), "html")
    try:
        return record_of(convert_text(str(part["value"]), source_format), source_format)
    except ReadError:
        return None  # tags without a word


def _metadata(entry: Mapping[str, Any]) -> dict[str, Any]:
    known = dict(entry)  # the library's own mapping answers for ``updated`` with ``published``
    dates = {name: _time(known.get(f"{name}_parsed")) for name in ("published", "updated")}
    tags = [str(tag["term"]) for tag in entry.get("tags", []) if tag.get("term")]
    return {
        **{name: value for name, value in dates.items() if value},
        **({"author": str(entry["author"])} if entry.get("author") else {}),
        **({"tags": tags[:MAX_TAGS]} if tags else {}),
    }


def _time(parsed: time.struct_time | None) -> str:
    if parsed is None:
        return ""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(calendar.timegm(parsed)))
    except (ValueError, OverflowError):
        return ""


def _plain(title: str) -> str:
    """A title without tags and entities, which publishers put there whatever the format says."""
    if "<" in title or "&" in title:
        title = str(lxml.html.fromstring(f"<p>{title}</p>").text_content())
    return " ".join(title.split())


def _feeds_of(data: bytes, url: str) -> str:
    """The addresses of feeds that an HTML page names, for a message."""
    try:
        tree = lxml.html.document_fromstring(data, base_url=url)
    except (lxml.etree.LxmlError, ValueError):
        return ""
    tree.make_links_absolute(handle_failures="ignore")
    named = [each.get("href", "") for each in tree.iter("link") if each.get("type", "").lower() in _FEEDS]
    return f"; the page names {' and '.join(f'feed:{address}' for address in named[:3])}" if named else ""
