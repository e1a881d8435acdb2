"""A web site as a source: the pages of its sitemap, or those that its links lead to. A page's id is its address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from types import MappingProxyType
from typing import Final

from yarl import URL

from indexer.sources.base import DocumentParser
from indexer.sources.cache import FileCache
from indexer.sources.formats import MAX_FILE_BYTES
from indexer.sources.site.discovery import Discovery, discover
from indexer.sources.site.fetch import Fetcher, FetchError, open_fetcher
from indexer.sources.site.page import SitePage
from indexer.sources.site.reader import open_page_reader
from indexer.sources.site.urls import Scope, normalise
from indexer.sources.site.walk import Walk
from winnow.core.documents import MAX_TITLE_CHARS
from winnow.core.errors import InvalidSource
from winnow.core.types import Document, FieldType
from winnow.ports.source import Failure, SourceItem, SourceOptions

SCHEME: Final = "site:"


class SiteSource:
    """One site, from a start page or a sitemap on. The label is ``site:`` and the normalised address of the start.

    Raises:
        InvalidSource: ``spec`` is not a web address.
    """

    fields: Mapping[str, FieldType] = MappingProxyType({})
    is_complete = True

    def __init__(self, spec: str, options: SourceOptions) -> None:
        written = spec.removeprefix(SCHEME)
        address = written if "://" in written else f"https://{written.lstrip('/')}"
        self._start = normalise(address)
        if not self._start:
            raise InvalidSource(f"{spec!r} is not a web address; write site:https://example.org/docs/")
        Scope.of(self._start)
        self.label = f"{SCHEME}{self._start}"
        self._options = options
        self._found: Discovery | None = None

    async def count(self) -> int | None:
        """Addresses in the sitemap; without one, the number of pages that the last crawl kept. Asks the site."""
        async with open_fetcher(self._options.site) as fetcher:
            try:
                self._found = await self._discover(fetcher)
            except FetchError:
                return None  # reading the site reports the error
        if self._found.listed:
            return len(self._found.pages)
        state_dir = self._options.state_dir
        return await asyncio.to_thread(len, self._cache(state_dir)) or None if state_dir else None

    async def read(self) -> AsyncGenerator[SourceItem, None]:
        """Read page after page."""
        async with open_fetcher(self._options.site) as fetcher, open_page_reader() as reader:
            found, self._found = self._found, None
            try:
                found = found or await self._discover(fetcher)
            except FetchError as error:
                yield Failure(self.label, error.code, error.message)
                return
            cache = self._cache(self._options.state_dir or reader.folder)
            walk = Walk(found, self._options.site, cache, fetcher, reader.read)
            async with aclosing(walk.pages()) as pages:
                async for page in pages:
                    yield _document_of(page) if isinstance(page, SitePage) else page

    async def _discover(self, fetcher: Fetcher) -> Discovery:
        return await discover(fetcher, self._start, max_pages=self._options.site.max_pages)

    def _cache(self, folder: Path) -> FileCache:
        return FileCache(folder / "sites", self.label)


def _document_of(page: SitePage) -> Document | Failure:
    """The document of a page; a page may come again, with other addresses."""
    title = (page.content["title"] or URL(page.url).name or page.url)[:MAX_TITLE_CHARS]
    others = {"other_urls": list(page.others)} if page.others else {}
    metadata = {**page.content["metadata"], **others}
    record = {**page.content, "id": page.url, "url": page.url, "title": title, "metadata": metadata}
    return DocumentParser(MAX_FILE_BYTES).parse(record, page.url)
