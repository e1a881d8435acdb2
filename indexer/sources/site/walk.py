"""The walk through a site: page after page, breadth first, resumable, in an order that depends only on the site."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Final, NamedTuple

from indexer.sources.base import ReadError
from indexer.sources.cache import FileCache
from indexer.sources.site.copies import Copies
from indexer.sources.site.discovery import Discovery
from indexer.sources.site.fetch import FetchedPage, Fetcher, FetchError
from indexer.sources.site.page import KINDS, SitePage, forbids
from indexer.sources.site.urls import is_media, shape_of
from winnow.core.ids import new_id
from winnow.ports.source import Failure, Notice, SiteOptions

MAX_FAILED_IN_A_ROW: Final = 20  # consecutive transient failures that end the walk

_STATE: Final = "state"
_VERSION: Final = 4  # of pages in the cache: raise it when they are read in another way
_SHOWN: Final = 5  # addresses that a notice names
_AGREEING: Final = 0.9  # share of words that two addresses of one page have in common
_RESUMED_SECONDS: Final = 24 * 3600.0

ReadPage = Callable[[FetchedPage], Awaitable[SitePage]]


class _Visit(NamedTuple):
    """A page that is being fetched."""

    url: str
    depth: int
    page: asyncio.Task[SitePage]


class Walk:
    """Walks one site, once.

    Fetched pages are kept in ``cache``: an unchanged page is not sent again, and a walk that was interrupted less than
    a day ago is resumed.
    """

    def __init__(
        self, site: Discovery, options: SiteOptions, cache: FileCache, fetcher: Fetcher, read: ReadPage
    ) -> None:
        self._site = site
        self._options = options
        self._cache = cache
        self._fetcher = fetcher
        self._read = read
        self._run = ""
        self._queue: deque[tuple[str, int]] = deque()
        self._visits: deque[_Visit] = deque()
        self._known: set[str] = set()
        self._shapes: Counter[str] = Counter()
        self._given: set[str] = set()
        self._held: list[SitePage] = []
        self._copies = Copies({})
        self._found: list[SitePage | Failure | Notice] = [*site.failures]
        self._fetched = self._failed_in_a_row = 0
        self._complete = not site.failures

    async def pages(self) -> AsyncGenerator[SitePage | Failure | Notice, None]:
        """Yield the pages and failures; requests that are open when the caller stops are cancelled.

        Work that grows with the site (its links, its cache) runs on a thread, one step at a time.
        """
        self._fetcher.delay = max(self._options.delay, min(self._site.delay, self._options.max_wait))
        await asyncio.to_thread(self._begin)
        try:
            self._fill()
            while self._visits:
                await self._visit(self._visits.popleft())
                self._fill()
                found, self._found = self._found, []
                for item in found:
                    yield item
            await asyncio.to_thread(self._finish)
            for item in self._found:
                yield item
        finally:
            tasks = [visit.page for visit in self._visits]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self) -> None:
        last = self._cache.get(_STATE)
        state: dict[str, Any] = {"run": new_id("crawl"), "began": time.time(), "finished": False, "copies": {}}
        state |= last or {}
        if state["finished"] or time.time() - state["began"] > _RESUMED_SECONDS:
            state |= {"run": new_id("crawl"), "began": time.time(), "finished": False}
        if state != last:
            self._cache.put(_STATE, state)
        self._run = str(state["run"])
        self._copies = Copies(state["copies"])
        for url in self._site.pages:
            self._add(url, 0)

    def _fill(self) -> None:
        while self._queue and len(self._visits) < 2 * self._options.concurrency:
            if reason := self._exhausted():
                code, message = reason
                self._found.append(Failure(self._site.start, code, f"the site {message}; the rest was not read"))
                self._queue.clear()
                self._complete = False
                return
            url, depth = self._queue.popleft()
            self._fetched += 1
            self._visits.append(_Visit(url, depth, asyncio.create_task(self._page(url))))

    def _exhausted(self) -> tuple[str, str] | None:
        options = self._options
        if self._fetched >= options.max_pages:
            return "page_limit", f"has more than {options.max_pages:,} pages; --max-pages raises the limit"
        if self._fetcher.total_bytes >= options.max_total_bytes:
            return "size_limit", f"sent more than {options.max_total_bytes / 1024**3:g} GiB; index parts of it"
        if self._failed_in_a_row >= MAX_FAILED_IN_A_ROW:
            return "site_down", f"{MAX_FAILED_IN_A_ROW} pages in a row failed; try again later"
        return None

    async def _page(self, url: str) -> SitePage:
        """A page from this walk's cache or from the site."""
        known = await asyncio.to_thread(self._cache.get, url)
        if known is not None and known.get("version") != _VERSION:
            known = None  # another version of Winnow read it otherwise
        if known is not None and known["run"] == self._run:
            return _page_of(known)
        validators = {"etag": known["etag"], "modified": known["modified"]} if known is not None else {}
        reply = await self._fetcher.fetch(url, follow=self._may_follow, kinds=KINDS, **validators)
        page = _page_of(known) if known is not None and reply.unchanged else await self._read(reply)
        if reply.unchanged and forbids([reply.robots_tag], "noindex"):
            page = replace(page, index=False)
        entry = asdict(page) | {"version": _VERSION, "run": self._run, "etag": reply.etag, "modified": reply.modified}
        await asyncio.to_thread(self._cache.put, url, entry)
        return page

    async def _visit(self, visit: _Visit) -> None:
        try:
            page = await visit.page
        except ReadError as error:
            await asyncio.to_thread(self._note_failure, visit, error)
        else:
            self._failed_in_a_row = 0
            await asyncio.to_thread(self._take, page, visit.depth)

    def _note_failure(self, visit: _Visit, error: ReadError) -> None:
        """Leave out a page that is gone; report any other failed page and follow the links of its cached copy."""
        transient, gone = (error.transient, error.gone) if isinstance(error, FetchError) else (False, False)
        self._failed_in_a_row = self._failed_in_a_row + 1 if transient else 0
        if gone and visit.url != self._site.start:
            self._cache.remove(visit.url)
            return
        self._found.append(Failure(visit.url, error.code, error.message, visit.url))
        known = self._cache.get(visit.url)
        if known is not None and known.get("version") == _VERSION:
            self._follow(_page_of(known), visit.depth)

    def _follow(self, page: SitePage, depth: int) -> None:
        if not self._site.listed:
            for link in page.links:
                self._add(link, depth + 1)

    def _take(self, page: SitePage, depth: int) -> None:
        """Follow a page's links; yield it under its own address, or wait for the page at its canonical address."""
        self._known.add(page.url)
        self._follow(page, depth)
        if page.refresh:
            self._add(page.refresh, depth)
        if not page.index or not page.text.strip():
            return
        canonical = self._claim(page.canonical)
        if canonical and canonical != page.url:
            self._held.append(page)
            self._add(canonical, depth)
        else:
            self._give(page)

    def _give(self, page: SitePage) -> None:
        """Yield a page unless another address had the same text, or the address was yielded already."""
        if page.url in self._given:
            return
        first = self._copies.original(page.url, str(page.content["title"]), page.text)
        if first != page.url:
            self._copies.add(first, page.url)
            return
        self._given.add(page.url)
        self._found.append(replace(page, others=self._copies.others(page.url)))

    def _finish(self) -> None:
        """Yield pages whose canonical address has no page or another text, and pages with further addresses again.

        Prunes the cache of pages that are gone.
        """
        for page in self._held:
            canonical = self._claim(page.canonical)
            if canonical in self._given and not self._agree(page, canonical):
                message = f"says that its address is {canonical}, which has another text; both were read"
                self._found.append(Notice(page.url, "canonical_conflict", message, 1))
                self._give(page)
            elif canonical not in self._given:
                self._give(page)
            else:
                self._copies.add(canonical, page.url)
        self._fold()
        state = self._cache.get(_STATE)
        if state is not None and not state["finished"]:
            copies = self._copies.found(complete=self._complete)
            self._cache.put(_STATE, state | {"finished": True, "copies": copies})
            if self._complete:
                self._cache.prune()

    def _fold(self) -> None:
        """Say which pages were folded into others, and yield those again that have other addresses than before."""
        for url, others in self._copies.found(complete=True).items():
            shown = ", ".join(others[:_SHOWN]) + (" …" if len(others) > _SHOWN else "")
            self._found.append(Notice(url, "duplicates", f"is also at {shown}: one document", len(others)))
        for url, others in self._copies.changed(complete=self._complete):
            known = self._cache.get(url) if url in self._given else None
            if known is not None:
                self._found.append(replace(_page_of(known), others=others))

    def _agree(self, page: SitePage, canonical: str) -> bool:
        """Whether a page has nearly the text of the page at its canonical address."""
        known = self._cache.get(canonical)
        ours, theirs = (set(text.split()) for text in (page.text, _page_of(known).text if known else ""))
        return len(ours & theirs) >= _AGREEING * len(ours | theirs)

    def _add(self, link: str, depth: int) -> None:
        url = self._claim(link)
        if not url or url in self._known or is_media(url) or depth > self._options.max_depth:
            return
        self._known.add(url)
        if not self._site.allows(url) or (not self._site.listed and self._is_endless(url)):
            return
        self._queue.append((url, depth))

    def _is_endless(self, url: str) -> bool:
        shape, limit = shape_of(url), self._options.max_variants
        self._shapes[shape] += 1
        if self._shapes[shape] == limit + 1:
            message = f"more than {limit} addresses differ from this one only in digits or query; the rest are left out"
            self._found.append(Failure(url, "too_many_variants", message, url))
        return self._shapes[shape] > limit

    def _claim(self, url: str) -> str:
        return self._site.scope.claim(url) if url else ""

    def _may_follow(self, url: str) -> bool:
        claimed = self._claim(url)
        return bool(claimed and self._site.allows(claimed))


def _page_of(entry: Mapping[str, Any]) -> SitePage:
    values: dict[str, Any] = {name: entry[name] for name in SitePage.__dataclass_fields__}
    return SitePage(**values | {"links": tuple(entry["links"]), "others": ()})
