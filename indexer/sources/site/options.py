"""Options of a crawl: politeness and limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

USER_AGENT: Final = "Winnow/0.1 (site search indexer)"


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """Politeness and limits of a crawl. Times are seconds.

    Attributes:
        allow_private: also connect to addresses that are not public (loopback, intranet, link-local).
        delay: minimum time between the starts of two requests; a longer ``Crawl-delay`` of the site is obeyed, up to
            ``max_wait``.
        concurrency: number of simultaneous requests.
        max_pages: number of addresses that are fetched.
        max_depth: number of links from the start to a page.
        max_variants: number of addresses that differ only in digits and query: calendars and filters are endless.
        max_page_bytes: size of a page, unpacked.
        max_total_bytes: of all pages together.
        page_seconds: time for a page, from the connection to its last byte, redirects included.
        max_wait: longest ``Retry-After`` and ``Crawl-delay`` that is obeyed.
        attempts: requests for one page before it counts as failed.
    """

    allow_private: bool = False
    delay: float = 0.1
    concurrency: int = 4
    max_pages: int = 10_000
    max_depth: int = 32
    max_variants: int = 200
    max_page_bytes: int = 20 * 1024 * 1024
    max_total_bytes: int = 10 * 1024 * 1024 * 1024
    page_seconds: float = 30.0
    max_wait: float = 120.0
    attempts: int = 3
