"""Blocking readers on a thread: in order, never far ahead, and closed with their caller."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing

import pytest

from indexer.sources.threads import BATCH_CHARS, BATCH_ITEMS, Items, read_on_thread
from winnow.core.types import Document


class Reader:
    """A blocking generator that notes how far it is and when it is closed."""

    def __init__(self, count: int = 1000, text: str = "text") -> None:
        self.documents = [Document(str(number), text) for number in range(count)]
        self.read = 0
        self.closed = False
        self.waiting = threading.Event()
        self.go_on = threading.Event()

    def items(self) -> Items:
        assert threading.current_thread() is not threading.main_thread()
        try:
            for document in self.documents:
                self.read += 1
                yield document
        finally:
            self.closed = True

    def stuck(self) -> Items:
        try:
            self.waiting.set()
            self.go_on.wait(10)
            yield self.documents[0]
        finally:
            self.closed = True


async def test_items_come_in_order_and_the_reader_is_closed() -> None:
    reader = Reader()
    assert [item async for item in read_on_thread(reader.items())] == reader.documents
    assert reader.closed


@pytest.mark.parametrize(("text", "ahead"), [("text", BATCH_ITEMS), ("x" * (BATCH_CHARS // 4), 4)])
async def test_a_reader_is_at_most_one_batch_ahead(text: str, ahead: int) -> None:
    reader = Reader(text=text)
    async with aclosing(read_on_thread(reader.items())) as items:
        assert await anext(items) == reader.documents[0]
        assert reader.read <= ahead
    assert reader.closed


async def test_an_error_of_the_reader_is_raised() -> None:
    def items() -> Items:
        yield Document("a", "text")
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
