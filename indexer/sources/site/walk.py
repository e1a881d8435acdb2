"""The walk through a site: page after page, breadth first, resumable, in an order that the site alone decides."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Final, Self

from indexer.sources.base import Failure
from indexer.sources.cache import FileCache
from indexer.sources.site.discovery import Discovery, discover
from indexer.sources.site.fetch import Fetcher, FetchFailure, Reply
from indexer.sources.site.options import SiteOptions
from indexer.sources.site.page import KINDS, Page
from indexer.sources.site.urls import is_media, shape_of
from winnow.core.ids import new_id

MAX_PASSING: Final = 20  # so many pages in a row that fail like a site that is down end the walk

_STATE: Final = "state"
_RESUMED_SECONDS: Final = 24 * 3600.0

Reader = Callable[[Reply], Awaitable[Page]]


@dataclass(frozen=True, slots=True)
class _Visit:
    """A page that is on its way."""

    url: str
    depth: int
    page: asyncio.Task[Page]


class Walk:
    """Walks one site. An asynchronous context manager; ``step`` until it returns ``None``.

    What was fetched is kept in ``cache``: an unchanged page is not sent again, and a walk that was interrupted less
    than a day ago goes on where it was.
    """

    def __init__(self, start: str, options: SiteOptions, cache: FileCache, reader: Reader) -> None:
        self._start = start
        self._options = options
        self._cache = cache
        self._reader = reader
        self._fetcher = Fetcher(options)
        self._run = ""
        self._site: Discovery | None = None
        self._queue: deque[tuple[str, int]] = deque()
        self._under_way: deque[_Visit] = deque()
        self._known: set[str] = set()
        self._shapes: Counter[str] = Counter()
        self._given: set[str] = set()
        self._held: list[Page] = []
        self._found: list[Page | Failure] = []
        self._fetched = self._passing = 0
        self._complete = True

    async def __aenter__(self) -> Self:
        await self._fetcher.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [visit.page for visit in self._under_way]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._fetcher.__aexit__(kind, error, trace)

    async def discover(self) -> Discovery:
        """Look at the site without fetching pages. Raises ``FetchFailure`` where that is not possible."""
        self._site = await discover(self._fetcher, self._start, max_pages=self._options.max_pages)
        return self._site

    def begin(self, site: Discovery) -> None:
        """Start, or go on with a walk that was interrupted."""
        self._site = site
        self._fetcher.delay = max(self._options.delay, min(site.robots.delay, self._options.max_wait))
        state = self._cache.get(_STATE)
        if state is None or state["finished"] or time.time() - state["began"] > _RESUMED_SECONDS:
            state = {"run": new_id("crawl"), "began": time.time(), "finished": False}
            self._cache.put(_STATE, state)
        self._run = str(state["run"])
        self._found += site.failures
        self._complete = not site.failures
        for url in site.pages:
            self._add(url, 0)

    async def step(self) -> list[Page | Failure] | None:
        """What the next pages give; ``None`` at the end."""
        self._fill()
        if not self._under_way and not self._found:
            return None
        if self._under_way:
            await self._take(self._under_way.popleft())
        if not self._queue and not self._under_way:
            self._finish()
        found, self._found = self._found, []
        return found

    def _fill(self) -> None:
        while self._queue and len(self._under_way) < 2 * self._options.concurrency:
            reason = self._exhausted()
            if reason:
                self._stop(*reason)
                return
            url, depth = self._queue.popleft()
            self._fetched += 1
            self._under_way.append(_Visit(url, depth, asyncio.create_task(self._page(url))))

    def _exhausted(self) -> tuple[str, str] | None:
        options = self._options
        if self._fetched >= options.max_pages:
            return "page_limit", f"has more than {options.max_pages:,} pages; --max-pages raises the limit"
        if self._fetcher.total_bytes >= options.max_total_bytes:
            return "size_limit", f"sent more than {options.max_total_bytes / 1024**3:g} GiB; index parts of it"
        if self._passing >= MAX_PASSING:
            return "site_down", f"{MAX_PASSING} pages in a row failed; try again later"
        return None

    def _stop(self, code: str, message: str) -> None:
        self._found.append(Failure(self._start, code, f"the site {message}; the rest was not read"))
        self._queue.clear()
        self._complete = False

    async def _page(self, url: str) -> Page:
        """A page out of this walk's cache or from the site."""
        known = await asyncio.to_thread(self._cache.get, url)
        if known is not None and known["run"] == self._run:
            return _page_of(known)
        validators = {"etag": known["etag"], "modified": known["modified"]} if known is not None else {}
        reply = await self._fetcher.fetch(url, follow=self._may_follow, kinds=KINDS, **validators)
        page = _page_of(known) if known is not None and reply.unchanged else await self._reader(reply)
        entry = asdict(page) | {"run": self._run, "etag": reply.etag, "modified": reply.modified}
        await asyncio.to_thread(self._cache.put, url, entry)
        return page

    async def _take(self, visit: _Visit) -> None:
        try:
            page = await visit.page
        except FetchFailure as error:
            self._note(visit, error)
            return
        self._passing = 0
        self._known.add(page.url)
        self._follow(page, visit.depth)
        self._settle(page, visit.depth)

    def _note(self, visit: _Visit, error: FetchFailure) -> None:
        """A page that failed: one that is gone is left out, another is named, and its links of old are followed."""
        self._passing = self._passing + 1 if error.passing else 0
        if error.gone and visit.url != self._start:
            self._cache.remove(visit.url)
            return
        self._found.append(Failure(visit.url, error.code, error.message, visit.url))
        known = self._cache.get(visit.url)
        if known is not None:
            self._follow(_page_of(known), visit.depth)

    def _follow(self, page: Page, depth: int) -> None:
        if self._site is not None and not self._site.listed:
            for link in page.links:
                self._add(link, depth + 1)

    def _settle(self, page: Page, depth: int) -> None:
        """Give a page out under its own address, or wait for the one that it names instead of itself."""
        if not page.index or not page.text.strip():
            return
        canonical = self._claim(page.canonical)
        if canonical and canonical != page.url:
            self._held.append(page)
            self._add(canonical, depth)
        elif page.url not in self._given:
            self._given.add(page.url)
            self._found.append(page)

    def _finish(self) -> None:
        """Give out pages whose better address gave nothing; forget pages that are no longer there."""
        for page in self._held:
            if not {page.url, self._claim(page.canonical)} & self._given:
                self._given.add(page.url)
                self._found.append(page)
        self._held.clear()
        state = self._cache.get(_STATE)
        if state is not None and not state["finished"]:
            self._cache.put(_STATE, state | {"finished": True})
            if self._complete:
                self._cache.prune()

    def _add(self, link: str, depth: int) -> None:
        url = self._claim(link)
        if not url or url in self._known or is_media(url) or depth > self._options.max_depth:
            return
        assert self._site is not None
        self._known.add(url)
        if not self._site.robots.allows(url) or (not self._site.listed and self._is_endless(url)):
            return
        self._queue.append((url, depth))

    def _is_endless(self, url: str) -> bool:
        shape, limit = shape_of(url), self._options.max_variants
        self._shapes[shape] += 1
        if self._shapes[shape] == limit + 1:
            message = f"more than {limit} addresses differ only in digits or query from this one; the rest is left out"
            self._found.append(Failure(url, "too_many_variants", message, url))
        return self._shapes[shape] > limit

    def _claim(self, url: str) -> str:
        return self._site.scope.claim(url) if self._site is not None and url else ""

    def _may_follow(self, url: str) -> bool:
        claimed = self._claim(url)
        return bool(claimed and self._site is not None and self._site.robots.allows(claimed))


def _page_of(entry: Mapping[str, Any]) -> Page:
    values: dict[str, Any] = {name: entry[name] for name in Page.__dataclass_fields__}
    return Page(**values | {"links": tuple(entry["links"])})
