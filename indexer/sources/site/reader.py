"""Reads the responses of a site off the event loop."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from indexer.sources.formats import MAX_FILE_BYTES, parse_file
from indexer.sources.sandbox import Sandbox
from indexer.sources.site.fetch import FetchedPage
from indexer.sources.site.page import FILES, SitePage, forbids, read_page


class PageReader:
    """Reads responses off the event loop: text on a thread, files that need a parser in the sandbox, one at a time."""

    def __init__(self, folder: Path, sandbox: Sandbox, parsing: ThreadPoolExecutor) -> None:
        self.folder = folder
        self._sandbox = sandbox
        self._parsing = parsing

    async def read(self, reply: FetchedPage) -> SitePage:
        """The page. Raises ``ReadError`` if it cannot be parsed."""
        if reply.kind in FILES:
            return await asyncio.get_running_loop().run_in_executor(self._parsing, self._parse, reply)
        return await asyncio.to_thread(read_page, reply)

    async def parse(self, body: bytes, parser: str, options: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The items that a parser of the sandbox finds in a response. Raises ``ReadError`` if it cannot be parsed."""
        return await asyncio.get_running_loop().run_in_executor(self._parsing, self._items, body, parser, options)

    def _items(self, body: bytes, parser: str, options: Mapping[str, Any]) -> list[dict[str, Any]]:
        path = self.folder / "response"
        path.write_bytes(body)
        return list(self._sandbox.parse(parser, path, options))

    def _parse(self, reply: FetchedPage) -> SitePage:
        path = self.folder / f"page{FILES[reply.kind]}"
        path.write_bytes(reply.body)
        found = parse_file(path, sandbox=self._sandbox, max_chars=MAX_FILE_BYTES)
        return SitePage(reply.url, found, index=not forbids([reply.robots_tag], "noindex"))


@asynccontextmanager
async def open_page_reader() -> AsyncIterator[PageReader]:
    """Open a reader; its process and its files end with the context."""
    with tempfile.TemporaryDirectory(prefix="winnow-") as folder, Sandbox() as sandbox:
        parsing = ThreadPoolExecutor(1, "parse-page")
        try:
            yield PageReader(Path(folder), sandbox, parsing)
        finally:
            sandbox.kill()  # so that a parser that is still at work does not delay a cancelled crawl
            await asyncio.to_thread(parsing.shutdown, cancel_futures=True)
