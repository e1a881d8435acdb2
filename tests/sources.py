"""Reads sources to their end, for tests that are not about the event loop."""

from __future__ import annotations

import asyncio

from indexer.sources.base import Failure, Source
from winnow.core.types import Document


async def collect(source: Source) -> list[Document | Failure]:
    """Everything that the source yields."""
    return [item async for item in source.read()]


def read_all(source: Source) -> list[Document | Failure]:
    """``collect``, for a test without an event loop."""
    return asyncio.run(collect(source))


def count_items(source: Source) -> int | None:
    """The source's estimate, for a test without an event loop."""
    return asyncio.run(source.count())
