"""Reads sources to their end, for tests that are not about the event loop."""

from __future__ import annotations

import asyncio

from winnow.core.types import Document
from winnow.ports.source import Failure, Notice, Source


async def collect(source: Source) -> list[Document | Failure]:
    """Everything that the source yields, without what it left out on purpose."""
    return [item async for item in source.read() if not isinstance(item, Notice)]


def read_all(source: Source) -> list[Document | Failure]:
    """``collect``, for a test without an event loop."""
    return asyncio.run(collect(source))


def count_items(source: Source) -> int | None:
    """The source's estimate, for a test without an event loop."""
    return asyncio.run(source.count())
