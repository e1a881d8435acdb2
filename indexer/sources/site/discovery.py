"""Finds where a crawl starts: the site's real address, its rules, and its sitemap if it has one."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin

from protego import Protego
from yarl import URL

from indexer.sources.site.fetch import USER_AGENT, Fetcher, FetchError
from indexer.sources.site.sitemap import InvalidSitemap, parse_sitemap
from indexer.sources.site.urls import Scope, is_media, normalise
from winnow.ports.source import Failure

MAX_SITEMAPS: Final = 500

_MAX_ROBOTS_CHARS: Final = 512 * 1024  # RFC 9309, 2.5: at least 500 KiB are read
_GUESSES: Final = ("/sitemap.xml", "/sitemap_index.xml")
_SITEMAP_ENDINGS: Final = (".xml", ".xml.gz")


@dataclass(frozen=True, slots=True)
class Discovery:
    """Where a crawl starts.

    Attributes:
        start: the page or sitemap, as it was asked for.
        scope: which addresses belong to the site.
        robots: the rules of its host.
        pages: the addresses in the sitemap, or only the start.
        listed: whether the pages come from a sitemap; then links are not followed.
        failures: sitemaps that cannot be read.
    """

    start: str
    scope: Scope
    robots: Protego
    pages: tuple[str, ...]
    listed: bool
    failures: list[Failure] = field(default_factory=list)

    @property
    def delay(self) -> float:
        """The ``Crawl-delay`` for us, in seconds; 0 if there is none."""
        return float(self.robots.crawl_delay(USER_AGENT) or 0.0)

    def allows(self, url: str) -> bool:
        """Whether the rules of the host allow us to fetch a page."""
        return bool(self.robots.can_fetch(url, USER_AGENT))


async def discover(fetcher: Fetcher, start: str, *, max_pages: int) -> Discovery:
    """Discover the site of ``start``, a page or a sitemap.

    Raises:
        FetchError: the site cannot be reached, or its ``robots.txt`` forbids the start.
    """
    asked = start
    is_sitemap = URL(start).path.endswith(_SITEMAP_ENDINGS)
    scope = Scope.of(f"{URL(start).origin()}/" if is_sitemap else start)
    robots = await load_robots(fetcher, scope.origin)
    if not robots.can_fetch(start, USER_AGENT):
        raise FetchError("robots_denied", "robots.txt of the site forbids it; ask its owner to allow 'Winnow'")
    if not is_sitemap:
        moved = await _home(fetcher, start)
        if URL(moved).origin() != URL(start).origin():
            scope, start = Scope.of(moved), moved
            robots = await load_robots(fetcher, scope.origin)
    listing = _Listing(fetcher, scope, max_pages)
    named = [start] if is_sitemap else [urljoin(f"{scope.origin}/", url) for url in robots.sitemaps]
    await listing.read(named or [scope.origin + guess for guess in _GUESSES], named=bool(named))
    listed = bool(listing.pages) or is_sitemap
    pages = tuple(listing.pages) if listed else (normalise(start),)
    return Discovery(asked, scope, robots, pages, listed, listing.failures)


async def load_robots(fetcher: Fetcher, origin: str) -> Protego:
    """Fetch the rules of a host; a host without rules allows everything.

    Raises:
        FetchError: the host failed or was not reached, which forbids everything (RFC 9309, 2.3.1.4).
    """
    try:
        text = (await fetcher.fetch(f"{origin}/robots.txt")).body.decode("utf-8-sig", errors="replace")
    except FetchError as error:
        if error.transient or error.code == "address_refused":
            message = f"robots.txt: {error.message}" if error.transient else error.message
            raise FetchError(error.code, message, transient=error.transient) from None
        text = ""
    return await asyncio.to_thread(Protego.parse, text[:_MAX_ROBOTS_CHARS])


async def _home(fetcher: Fetcher, start: str) -> str:
    """The address that a start page redirects to, often the host's ``www`` or another name."""
    try:
        return (await fetcher.fetch(start, kinds=())).url
    except FetchError as error:
        if error.gone or error.code == "refused":
            return start  # pages under it may exist all the same
        raise


@dataclass
class _Listing:
    """The pages that sitemaps list."""

    fetcher: Fetcher
    scope: Scope
    max_pages: int
    pages: dict[str, None] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    async def read(self, sitemaps: list[str], *, named: bool) -> None:
        """Collect the pages of sitemaps and of those that they list. ``named``: a missing one is a failure."""
        waiting = deque(dict.fromkeys(sitemaps))
        seen = set(waiting)
        while waiting and len(self.pages) <= self.max_pages:
            url = waiting.popleft()
            for child in await self._one(url, named=named):
                if child not in seen and len(seen) < MAX_SITEMAPS and self._is_ours(child):
                    seen.add(child)
                    waiting.append(child)
            if not named and self.pages:
                break  # the first guess was right

    async def _one(self, url: str, *, named: bool) -> list[str]:
        try:
            reply = await self.fetcher.fetch(url)
            return await asyncio.to_thread(self._collect, reply.url, reply.body)
        except FetchError as error:
            if named or not error.gone:
                self.failures.append(Failure(url, error.code, f"sitemap: {error.message}"))
            return []
        except InvalidSitemap as error:
            if named:  # many sites answer anything with a page
                self.failures.append(Failure(url, "invalid_sitemap", f"the sitemap {error}"))
            return []

    def _collect(self, url: str, body: bytes) -> list[str]:
        """Add the pages of the sitemap at ``url``; return the sitemaps that it lists. Relative addresses are joined."""
        found = parse_sitemap(body)
        for page in found.pages:
            ours = normalise(page, url)
            ours = ours and self.scope.claim(ours)
            if ours and not is_media(ours):
                self.pages[ours] = None
        return [urljoin(url, each) for each in found.sitemaps]

    def _is_ours(self, url: str) -> bool:
        try:
            return URL(url).host == URL(self.scope.origin).host
        except ValueError:
            return False
