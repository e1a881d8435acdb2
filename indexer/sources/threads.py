"""Blocking generators as async ones: read on a thread, a batch at a time and in order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Generator
from typing import Final, Generic, TypeVar

BATCH_ITEMS: Final = 64
BATCH_SECONDS: Final = 0.2

T = TypeVar("T")


async def read_on_thread(items: Generator[T, None, None]) -> AsyncGenerator[T, None]:
    """Yield the items of a blocking generator, which runs on a thread for some dozen items at a time.

    The generator is closed, also on a thread, when it ends and when the caller stops earlier or is cancelled. It is
    never ahead of the caller by more than one batch.
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


class _BatchReader(Generic[T]):
    """Advances a generator; ``close`` waits for a ``take`` that a cancelled caller left running."""

    def __init__(self, items: Generator[T, None, None]) -> None:
        self._items = items
        self._lock = threading.Lock()
        self._stopped = False

    def take(self) -> tuple[list[T], bool]:
        """The next items, and whether there may be more."""
        batch: list[T] = []
        until = time.monotonic() + BATCH_SECONDS
        with self._lock:
            for item in self._items:
                batch.append(item)
                if self._stopped or len(batch) >= BATCH_ITEMS or time.monotonic() > until:
                    return batch, True
        return batch, False

    def close(self) -> None:
        self._stopped = True
        with self._lock:
            self._items.close()
