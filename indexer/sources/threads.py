"""Blocking readers as asynchronous ones: they run on a thread, a batch at a time and in order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Generator
from typing import Final

from winnow.core.types import Document
from winnow.ports.source import SourceItem

BATCH_ITEMS: Final = 256
BATCH_CHARS: Final = 4_000_000
BATCH_SECONDS: Final = 0.2

Items = Generator[SourceItem, None, None]


async def read_on_thread(items: Items) -> AsyncGenerator[SourceItem, None]:
    """Yield the items of a blocking generator, which runs on a thread for one batch at a time.

    The generator is never ahead of the caller by more than a batch, whose items, text and time are limited. It is
    closed, on a thread as well, when it ends and when the caller stops earlier or is cancelled.
    """
    reader = _BatchReader(items)
    try:
        more = True
        while more:
            batch, more = await asyncio.to_thread(reader.take)
            for item in batch:
                yield item
    finally:
        await asyncio.to_thread(reader.close)


class _BatchReader:
    """Advances a generator; ``close`` waits for a ``take`` that a cancelled caller left running."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self._lock = threading.Lock()
        self._stopped = False

    def take(self) -> tuple[list[SourceItem], bool]:
        """The next items, and whether there may be more."""
        batch: list[SourceItem] = []
        chars, until = 0, time.monotonic() + BATCH_SECONDS
        with self._lock:
            for item in self._items:
                batch.append(item)
                chars += len(item.text) if isinstance(item, Document) else 0
                full = len(batch) >= BATCH_ITEMS or chars >= BATCH_CHARS or time.monotonic() > until
                if full or self._stopped:
                    return batch, True
        return batch, False

    def close(self) -> None:
        """Close the generator."""
        self._stopped = True
        with self._lock:
            self._items.close()
