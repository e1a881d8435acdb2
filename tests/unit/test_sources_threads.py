"""Blocking readers on a thread: in order, never far ahead, and closed with their caller."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import aclosing

import pytest

from indexer.sources.threads import BATCH_ITEMS, read_on_thread


class Reader:
    """A blocking generator that notes how far it is and when it is closed."""

    def __init__(self, count: int = 1000) -> None:
        self.count = count
        self.read = 0
        self.closed = False
        self.waiting = threading.Event()
        self.go_on = threading.Event()

    def items(self) -> Generator[int, None, None]:
        assert threading.current_thread() is not threading.main_thread()
        try:
            for number in range(self.count):
                self.read += 1
                yield number
        finally:
            self.closed = True

    def stuck(self) -> Generator[int, None, None]:
        try:
            self.waiting.set()
            self.go_on.wait(10)
            yield 1
        finally:
            self.closed = True


async def test_items_come_in_order_and_the_reader_is_closed() -> None:
    reader = Reader()
    assert [item async for item in read_on_thread(reader.items())] == list(range(1000))
    assert reader.closed


async def test_a_reader_is_at_most_one_batch_ahead() -> None:
    reader = Reader()
    async with aclosing(read_on_thread(reader.items())) as items:
        assert await anext(items) == 0
        assert reader.read <= BATCH_ITEMS
    assert reader.closed


async def test_an_error_of_the_reader_is_raised() -> None:
    def items() -> Generator[int, None, None]:
        yield 1
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        [item async for item in read_on_thread(items())]


async def test_a_cancelled_caller_leaves_nothing_running() -> None:
    reader = Reader()
    task = asyncio.ensure_future(anext(read_on_thread(reader.stuck())))
    await asyncio.to_thread(reader.waiting.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    reader.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reader.closed
