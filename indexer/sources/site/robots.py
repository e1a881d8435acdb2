"""Reads robots.txt (RFC 9309): which pages may be fetched, how fast, and where the sitemaps are."""

from __future__ import annotations

import asyncio

from protego import Protego

from indexer.sources.site.fetch import Fetcher, FetchError
from indexer.sources.site.options import USER_AGENT

_MAX_CHARS = 512 * 1024  # RFC 9309, 2.5: at least 500 KiB are read


class Robots:
    """The rules of one host."""

    def __init__(self, text: str) -> None:
        self._rules = Protego.parse(text[:_MAX_CHARS])

    def allows(self, url: str) -> bool:
        """Whether we may fetch ``url``."""
        return bool(self._rules.can_fetch(url, USER_AGENT))

    @property
    def delay(self) -> float:
        """``Crawl-delay`` for us, in seconds; 0 if there is none."""
        return float(self._rules.crawl_delay(USER_AGENT) or 0.0)

    @property
    def sitemaps(self) -> list[str]:
        """Addresses of sitemaps."""
        return list(self._rules.sitemaps)


async def load_robots(fetcher: Fetcher, origin: str) -> Robots:
    """Fetch the rules of a host; a host without rules allows everything.

    Raises:
        FetchError: the host failed or was not reached, which forbids everything (RFC 9309, 2.3.1.4).
    """
    try:
        reply = await fetcher.fetch(f"{origin}/robots.txt")
    except FetchError as error:
        if error.transient or error.code == "address_refused":
            message = f"robots.txt: {error.message}" if error.transient else error.message
            raise FetchError(error.code, message, transient=error.transient) from None
        return Robots("")
    return await asyncio.to_thread(Robots, reply.body.decode(errors="replace"))
