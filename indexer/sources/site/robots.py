"""Reads robots.txt (RFC 9309): which pages may be fetched, how fast, and where the sitemaps are."""

from __future__ import annotations

import asyncio

from protego import Protego

from indexer.sources.site.fetch import Fetcher, FetchError

_MAX_CHARS = 512 * 1024  # RFC 9309, 2.5: at least 500 KiB are read


async def load_robots(fetcher: Fetcher, origin: str) -> Protego:
    """Fetch the rules of a host; a host without rules allows everything.

    Raises:
        FetchError: the host failed or was not reached, which forbids everything (RFC 9309, 2.3.1.4).
    """
    try:
        text = (await fetcher.fetch(f"{origin}/robots.txt")).body.decode(errors="replace")
    except FetchError as error:
        if error.transient or error.code == "address_refused":
            message = f"robots.txt: {error.message}" if error.transient else error.message
            raise FetchError(error.code, message, transient=error.transient) from None
        text = ""
    return await asyncio.to_thread(Protego.parse, text[:_MAX_CHARS])
