"""A feed as a source: ``feed:https://…``. Its entries are documents, under the ids that the feed gives them.

An entry that carries its content is read from the feed; of one with a summary alone, the page that it links to is read
if it lies on the feed's host or on that of the feed's site. A feed lists its newest entries, so nothing of it counts as
gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from types import MappingProxyType
from typing import Any, Final

from protego import Protego
from yarl import URL

from indexer.sources.base import DocumentParser, ReadError
from indexer.sources.cache import FileCache
from indexer.sources.formats import MAX_FILE_BYTES
from indexer.sources.site.discovery import load_robots
from indexer.sources.site.fetch import USER_AGENT, Fetcher, open_fetcher
from indexer.sources.site.page import KINDS
from indexer.sources.site.reader import PageReader, open_page_reader
from indexer.sources.site.urls import normalise
from winnow.core.documents import MAX_TITLE_CHARS
from winnow.core.errors import InvalidSource
from winnow.core.marks import DocumentWarning, wire_warnings
from winnow.core.types import FieldType
from winnow.ports.source import Failure, SourceItem, SourceOptions

SCHEME: Final = "feed:"

_FEED: Final = "feed"
_VERSION: Final = 1  # of cached results: raise it when entries or pages are read in another way


class FeedSource:
    """One feed. The label is ``feed:`` and its normalised address.

    Raises:
        InvalidSource: ``spec`` is not a web address.
    """

    fields: Mapping[str, FieldType] = MappingProxyType({"published": "datetime"})
    is_complete = False

    def __init__(self, spec: str, options: SourceOptions) -> None:
        written = spec.removeprefix(SCHEME)
        self._address = normalise(written if "://" in written else f"https://{written.lstrip('/')}")
        if not self._address:
            raise InvalidSource(f"{spec!r} is not a web address; write feed:https://example.org/feed.xml")
        self.label = f"{SCHEME}{self._address}"
        self._options = options

    async def count(self) -> int | None:
        """Unknown before the feed is fetched."""
        return None

    async def read(self) -> AsyncGenerator[SourceItem, None]:
        """Read entry after entry, in the order of the feed."""
        documents = DocumentParser(MAX_FILE_BYTES)
        site = self._options.site
        async with open_fetcher(site) as fetcher, open_page_reader() as reader:
            cache = FileCache((self._options.state_dir or reader.folder) / "feeds", self.label)
            run = _FeedRun(self._address, fetcher, reader, cache)
            try:
                entries = await run.entries()
            except ReadError as error:
                yield Failure(self.label, error.code, error.message)
                return
            for number, entry in enumerate(entries):
                if number >= site.max_pages or fetcher.total_bytes >= site.max_total_bytes:
                    message = f"the feed was read up to entry {number:,}; --max-pages raises the limit"
                    yield Failure(self.label, "page_limit", message)
                    return
                where = entry["url"] or self.label
                try:
                    record = await run.record(entry)
                except ReadError as error:
                    yield Failure(where, error.code, error.message, entry["id"])
                else:
                    yield documents.parse(record, where)
            await asyncio.to_thread(cache.prune)


class _FeedRun:
    """Reads one feed, once, with what the last run kept of it."""

    def __init__(self, address: str, fetcher: Fetcher, reader: PageReader, cache: FileCache) -> None:
        self._address = address
        self._fetcher = fetcher
        self._reader = reader
        self._cache = cache
        self._robots: dict[str, Protego] = {}
        self._hosts = {URL(address).host}

    async def entries(self) -> list[dict[str, Any]]:
        """The entries, parsed unless the feed is unchanged. Raises ``ReadError`` if it cannot be read."""
        if not await self._is_allowed(self._address):
            raise ReadError("robots_denied", "robots.txt of the site forbids it; ask its owner to allow 'Winnow'")
        known = await self._known(_FEED)
        reply = await self._fetcher.fetch(self._address, **_validators(known))
        if not reply.unchanged:
            options = {
                "url": reply.url,
                "content_type": f"{reply.kind}; charset={reply.charset}".removesuffix("; charset="),
            }
            head, *entries = await self._reader.parse(reply.body, _FEED, options)
            known = {"home": head["home"], "entries": entries}
            await self._keep(_FEED, known, reply.etag, reply.modified)
        assert known is not None
        if home := normalise(known["home"], self._address):
            self._hosts.add(URL(home).host)
        return list(known["entries"])

    async def record(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """A record of an entry. Raises ``ReadError`` if neither the feed nor its page has a text."""
        content: Mapping[str, Any] | None = entry["content"]
        link = normalise(entry["url"], self._address)
        if not entry["is_whole"] and link and URL(link).host in self._hosts:
            try:
                content = await self._page(link) or content
            except ReadError as error:
                if content is None:
                    raise
                message = f"the summary was read in place of {link}: {error.message}"
                warning = DocumentWarning("page_unread", message[:1000])
                content = {**content, "warnings": [*content["warnings"], *wire_warnings([warning])]}
        if content is None:
            raise ReadError("no_text", "the entry has no text, and its page lies on another host or may not be indexed")
        title = (entry["title"] or content["title"])[:MAX_TITLE_CHARS]
        metadata = {**content["metadata"], **entry["metadata"]}
        return {**content, "id": entry["id"], "url": link or entry["url"], "title": title, "metadata": metadata}

    async def _page(self, link: str) -> Mapping[str, Any] | None:
        """The content of a page, from the site or from the last run; ``None`` if it may not be indexed."""
        if not await self._is_allowed(link):
            raise ReadError("robots_denied", "robots.txt forbids it")
        known = await self._known(link)
        reply = await self._fetcher.fetch(link, follow=self._is_ours, kinds=KINDS, **_validators(known))
        if not reply.unchanged:
            if reply.kind not in KINDS:
                raise ReadError("unknown_type", f"pages of the type {reply.kind} are not read")
            page = await self._reader.read(reply)
            known = {"content": dict(page.content) if page.index and page.text.strip() else None}
            await self._keep(link, known, reply.etag, reply.modified)
        assert known is not None
        content: Mapping[str, Any] | None = known["content"]
        return content

    def _is_ours(self, url: str) -> bool:
        return URL(url).host in self._hosts

    async def _is_allowed(self, url: str) -> bool:
        origin = str(URL(url).origin())
        if origin not in self._robots:
            self._robots[origin] = await load_robots(self._fetcher, origin)
        return bool(self._robots[origin].can_fetch(url, USER_AGENT))

    async def _known(self, key: str) -> dict[str, Any] | None:
        known = await asyncio.to_thread(self._cache.get, key)
        return known if known is not None and known["version"] == _VERSION else None

    async def _keep(self, key: str, value: Mapping[str, Any], etag: str, modified: str) -> None:
        entry = {**value, "version": _VERSION, "etag": etag, "modified": modified}
        await asyncio.to_thread(self._cache.put, key, entry)


def _validators(known: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"etag": known["etag"], "modified": known["modified"]} if known is not None else {}
