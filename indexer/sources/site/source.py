"""A web site: the pages of its sitemap, or those that its links lead to. The id of a document is its address."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from anyio.from_thread import BlockingPortal, start_blocking_portal
from yarl import URL

from indexer.chunking.structure.front_matter import InvalidFrontMatter
from indexer.chunking.structure.html import scan
from indexer.sources.base import Failure, SourceOptions
from indexer.sources.cache import FileCache
from indexer.sources.formats import MAX_FILE_BYTES
from indexer.sources.html import describe_html
from indexer.sources.markdown import describe_markdown
from indexer.sources.parsed import PARSED, parse_file
from indexer.sources.sandbox import ParseFailure, Sandbox
from indexer.sources.site.discovery import Discovery
from indexer.sources.site.fetch import FetchFailure, Reply
from indexer.sources.site.page import FILES, Page, read_page
from indexer.sources.site.urls import Scope, normalise
from indexer.sources.site.walk import Walk
from winnow.core.documents import MAX_TITLE_CHARS, parse_document
from winnow.core.errors import InvalidDocument, InvalidSource
from winnow.core.types import Document, FieldType

SCHEME: Final = "site:"


class SiteSource:
    """One site, from a start page or a sitemap on. Requests run in a loop and a thread of their own while it is read.

    Raises:
        InvalidSource: ``spec`` names no web address.
    """

    def __init__(self, spec: str, options: SourceOptions) -> None:
        written = spec.removeprefix(SCHEME)
        address = written if "://" in written else f"https://{written.lstrip('/')}"
        self._start = normalise(address)
        if not self._start:
            raise InvalidSource(f"{spec!r} names no web address; write site:https://example.org/docs/")
        Scope.of(self._start)
        self._options = options
        self._found: Discovery | None = None

    @property
    def label(self) -> str:
        """``site:`` and the start in its one spelling."""
        return f"{SCHEME}{self._start}"

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """None: pages have no metadata."""
        return {}

    def count(self) -> int | None:
        """Addresses in the sitemap; without one, how many pages the last crawl kept. Asks the site."""
        with self._walk() as (portal, walk, cache):
            try:
                self._found = portal.call(walk.discover)
            except FetchFailure:
                return None  # reading it says what is wrong
            return len(self._found.pages) if self._found.listed else len(cache) or None

    def read(self) -> Iterator[Document | Failure]:
        """Read page after page."""
        with self._walk() as (portal, walk, _):
            found, self._found = self._found, None
            try:
                portal.call(walk.begin, found or portal.call(walk.discover))
            except FetchFailure as error:
                yield Failure(self.label, error.code, error.message)
                return
            while (items := portal.call(walk.step)) is not None:
                for item in items:
                    yield item if isinstance(item, Failure) else _document(item)

    @contextmanager
    def _walk(self) -> Iterator[tuple[BlockingPortal, Walk, FileCache]]:
        with tempfile.TemporaryDirectory(prefix="winnow-") as folder, Sandbox() as sandbox:
            cache = FileCache((self._options.state_dir or Path(folder)) / "sites", self.label)
            reader = PageReader(Path(folder), sandbox)
            with start_blocking_portal() as portal:
                walk = Walk(self._start, self._options.site, cache, reader.read)
                with portal.wrap_async_context_manager(walk):
                    yield portal, walk, cache


class PageReader:
    """Reads replies apart from the loop: markup in a thread, files that need a parser in the sandbox."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self._folder = folder
        self._sandbox = sandbox
        self._one_file = asyncio.Lock()

    async def read(self, reply: Reply) -> Page:
        """The page, with text and title. Raises ``FetchFailure`` for what cannot be parsed."""
        suffix = FILES.get(reply.kind)
        if suffix is None:
            return await asyncio.to_thread(_with_title, reply)
        async with self._one_file:
            return await asyncio.to_thread(self._parse, reply, suffix)

    def _parse(self, reply: Reply, suffix: str) -> Page:
        path = self._folder / f"page{suffix}"
        path.write_bytes(reply.body)
        try:
            text, title = parse_file(path, PARSED[suffix], sandbox=self._sandbox, max_chars=MAX_FILE_BYTES)
        except ParseFailure as error:
            raise FetchFailure(error.code, error.message) from None
        page = read_page(reply)
        return Page(page.url, "html", text, title or URL(page.url).name, index=page.index)


def _with_title(reply: Reply) -> Page:
    page = read_page(reply)
    title = ""
    if page.format == "html" and page.text:
        title = describe_html(page.text)
        if page.index and not scan(page.text).items:
            message = "the page has no text of its own; it may be made by scripts, which are not run"
            raise FetchFailure("no_text", message)
    elif page.format == "markdown":
        try:
            title, _ = describe_markdown(page.text)
        except InvalidFrontMatter as error:
            raise FetchFailure("invalid_front_matter", f"front matter, {error}") from None
    return Page(page.url, page.format, page.text, title, page.canonical, page.links, page.index)


def _document(page: Page) -> Document | Failure:
    title = page.title or URL(page.url).name or page.url
    raw = {"id": page.url, "url": page.url, "text": page.text, "format": page.format, "title": title[:MAX_TITLE_CHARS]}
    try:
        return parse_document(raw, fields={}, max_chars=MAX_FILE_BYTES)
    except InvalidDocument as error:
        return Failure(page.url, error.code, error.message, page.url)
