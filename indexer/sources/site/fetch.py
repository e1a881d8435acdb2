"""Fetches pages politely: paced, with back-off, bounded redirects, and limits of size and time."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from indexer.sources.base import ReadError
from indexer.sources.site.addresses import AddressRefused, connector, is_public
from indexer.sources.site.urls import normalise
from winnow.core.retry import RetryPolicy, parse_retry_after, retry
from winnow.ports.source import SiteOptions

USER_AGENT: Final = "Winnow/0.1 (site search indexer)"
MAX_REDIRECTS: Final = 5

_BUSY: Final = frozenset({429, 503})
_GONE: Final = frozenset({404, 410})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_UNKNOWN: Final = frozenset({"application/octet-stream", "binary/octet-stream", "text/x-markdown"})
_KINDS: Final = dict.fromkeys((".md", ".mdx", ".markdown"), "text/markdown") | {
    ".txt": "text/plain",
    ".pdf": "application/pdf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
_AGENT: Final = re.compile(r"\s*(?!max-|unavailable_after)([\w-]+)\s*:")  # before directives: for one crawler
_BLOCK: Final = 64 * 1024


@dataclass(eq=False, kw_only=True)
class FetchError(ReadError):
    """An address returned no page.

    Attributes:
        gone: the site says that the page does not exist.
        transient: the site may be in trouble, so that other addresses may fail in the same way.
        retryable: another try may succeed.
        retry_after: seconds after which the site asks for it, ``None`` if it does not say.
    """

    gone: bool = False
    transient: bool = False
    retryable: bool = False
    retry_after: float | None = None

    def __post_init__(self) -> None:
        self.transient = self.transient or self.retryable


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """A server's response.

    Attributes:
        url: after redirects.
        kind: media type, lower case; the body of a kind that was not asked for is empty.
        unchanged: the page is the one that ``etag`` and ``modified`` belonged to; there is no body.
        robots_tag: the ``X-Robots-Tag`` header.
    """

    url: str
    kind: str = ""
    body: bytes = b""
    charset: str = ""
    etag: str = ""
    modified: str = ""
    unchanged: bool = False
    robots_tag: str = ""


@asynccontextmanager
async def open_fetcher(options: SiteOptions) -> AsyncIterator[Fetcher]:
    """Open a fetcher; its connections are closed with the context."""
    async with aiohttp.ClientSession(
        connector=connector(allow_private=options.allow_private, limit=options.concurrency),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate"},
        timeout=aiohttp.ClientTimeout(total=None),  # a page as a whole is timed below, redirects included
    ) as session:
        yield Fetcher(session, options)


class Fetcher:
    """Fetches pages of one site.

    Attributes:
        delay: seconds between the starts of two requests; may be raised when the site asks for it.
        total_bytes: size of all bodies received so far.
    """

    def __init__(self, session: aiohttp.ClientSession, options: SiteOptions) -> None:
        self.delay = options.delay
        self.total_bytes = 0
        self._session = session
        self._options = options
        self._free = asyncio.Semaphore(options.concurrency)
        self._not_before = 0.0
        wait = options.max_wait
        self._policy = RetryPolicy(options.attempts, first_wait=1.0, longest_wait=wait, wait_limit=wait)

    async def fetch(
        self,
        url: str,
        *,
        follow: Callable[[str], bool] = lambda _: True,
        kinds: Collection[str] | None = None,
        etag: str = "",
        modified: str = "",
    ) -> FetchedPage:
        """Get a page, retrying while the site is busy or the connection breaks.

        Args:
            url: the address.
            follow: whether a redirect to an address may be followed.
            kinds: media types whose body is downloaded; ``None`` for all.
            etag: of the cached copy; an unchanged page is not sent again.
            modified: its ``Last-Modified``.

        Raises:
            FetchError: says what went wrong and whether the page is gone.
        """
        headers = {name: value for name, value in (("If-None-Match", etag), ("If-Modified-Since", modified)) if value}
        return await retry(
            lambda: self._once(partial(self._follow, url, follow, kinds, headers)),
            self._policy,
            again=lambda error, _: isinstance(error, FetchError) and error.retryable,
            on_wait=self._pause,
        )

    async def _once(self, get: Callable[[], Awaitable[FetchedPage]]) -> FetchedPage:
        async with self._free:
            await self._wait()
            limit = self._options.page_seconds
            try:
                async with asyncio.timeout(limit):
                    return await get()
            except TimeoutError:
                message = f"took longer than {limit:g} s; the site is too slow"
                raise FetchError("too_slow", message, transient=True) from None
            except aiohttp.ClientConnectorError as error:
                if isinstance(error.os_error, AddressRefused):
                    raise _refused(str(error.os_error)) from None
                raise FetchError("unreachable", f"no connection: {error}", retryable=True) from None
            except (aiohttp.InvalidURL, ValueError) as error:
                raise FetchError("invalid_address", f"invalid address: {error}") from None
            except (aiohttp.ClientError, OSError) as error:
                raise FetchError("broken_reply", f"the connection broke: {error!r:.200}", retryable=True) from None

    def _pause(self, seconds: float) -> None:
        """Delay the requests for other pages as well: the site is in trouble."""
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    async def _wait(self) -> None:
        """Take the next slot in the pace of requests."""
        now = time.monotonic()
        start = max(now, self._not_before)
        self._not_before = start + self.delay
        await asyncio.sleep(start - now)

    async def _follow(
        self, url: str, follow: Callable[[str], bool], kinds: Collection[str] | None, headers: dict[str, str]
    ) -> FetchedPage:
        for _ in range(MAX_REDIRECTS + 1):
            request = self._session.get(URL(url, encoded=True), allow_redirects=False, headers=headers)
            async with request as response:
                if response.status not in _REDIRECTS:
                    return await self._read(url, response, kinds)
                url = self._next(url, response.headers.get("Location", ""), follow)
        raise FetchError("too_many_redirects", f"redirects more than {MAX_REDIRECTS} times")

    def _next(self, url: str, location: str, follow: Callable[[str], bool]) -> str:
        """The target of a redirect. Targets that are not pages or not public are refused by name."""
        target = normalise(location, url)
        if not target:
            shown = urljoin(url, location)[:200]
            raise FetchError("redirect_refused", f"redirects to {shown!r}, which is not a page; it was not followed")
        host = URL(target).host or ""
        if not self._options.allow_private and _is_private_literal(host):
            raise _refused(host, via=f"redirects to {target}: ")
        if not follow(target):
            raise FetchError("redirects_away", f"redirects to {target}, which is not part of the site", gone=True)
        return target

    async def _read(self, url: str, response: aiohttp.ClientResponse, kinds: Collection[str] | None) -> FetchedPage:
        status, header = response.status, response.headers.get
        etag, modified = header("ETag", ""), header("Last-Modified", "")
        if status == 304:
            return FetchedPage(url, etag=etag, modified=modified, unchanged=True, robots_tag=_robots_tag(response))
        if status in _GONE:
            raise FetchError("not_found", f"the page does not exist (HTTP {status})", gone=True)
        if status in _BUSY:
            after = parse_retry_after(header("Retry-After"))
            message = f"the site is busy (HTTP {status}); try again later"
            raise FetchError("busy", message, retryable=True, retry_after=after)
        if status >= 500:
            raise FetchError("server_error", f"the site failed (HTTP {status})", retryable=True)
        if status != 200:
            raise FetchError("refused", f"the site refused the page (HTTP {status})")
        kind = _kind(url, response.content_type.lower() if header("Content-Type", "") else "")
        body = await self._body(response) if kinds is None or kind in kinds else b""
        return FetchedPage(url, kind, body, response.charset or "", etag, modified, robots_tag=_robots_tag(response))

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        limit = self._options.max_page_bytes
        body = bytearray()
        async for block in response.content.iter_chunked(_BLOCK):
            body += block
            self.total_bytes += len(block)
            if len(body) > limit:
                raise FetchError("too_large", f"the page is larger than {limit / 1024 / 1024:g} MiB")
        return bytes(body)


def _kind(url: str, said: str) -> str:
    """Media type; by the suffix if the server does not know it, and a page if it says none."""
    if said and said not in _UNKNOWN:
        return said
    return _KINDS.get(PurePosixPath(URL(url).path).suffix.lower(), said or "text/html")


def _robots_tag(response: aiohttp.ClientResponse) -> str:
    """The directives of all ``X-Robots-Tag`` headers, without those that name a crawler that we are not."""
    tags = response.headers.getall("X-Robots-Tag", [])
    return ", ".join(tag for tag in tags if (named := _AGENT.match(tag)) is None or named[1].lower() == "winnow")


def _refused(what: str, via: str = "") -> FetchError:
    message = f"{via}{what} is not a public address and was not contacted; --allow-private permits it"
    return FetchError("address_refused", message)


def _is_private_literal(host: str) -> bool:
    try:
        return not is_public(host)
    except ValueError:
        return False  # a name: the connector checks what it resolves to
