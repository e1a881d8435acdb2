"""What runs beside the body of a ``with``: workers, the reading of kept sources, the upkeep of a data directory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from indexer.bulk.job import BulkJob
from indexer.schedule import SourceSchedule
from indexer.worker.loop import Worker
from winnow.core.disk_reserve import keep_reserve
from winnow.core.errors import WinnowError, first_error
from winnow.core.settings import Settings
from winnow.operations.resources import Resources

RESERVE_SECONDS: Final = 2.0


@asynccontextmanager
async def until_closed(work: Coroutine[Any, Any, None], *, name: str) -> AsyncIterator[None]:
    """Run the task ``name`` beside the body, and cancel it at the end."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def keeping_reserve(settings: Settings) -> None:
    """Keep space for a start as soon as the disk runs low; does not return."""
    while True:
        await asyncio.to_thread(keep_reserve, settings.data_dir)
        await asyncio.sleep(RESERVE_SECONDS)


@asynccontextmanager
async def running(worker: Worker | BulkJob) -> AsyncIterator[None]:
    """Run the worker beside the body; if the worker fails, the body is cancelled."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run(), name="worker")
            try:
                yield
            finally:
                worker.stop()
    except BaseExceptionGroup as errors:
        known, others = errors.split(WinnowError)
        if known is None or others is not None:
            raise
        raise first_error(known) from None


@asynccontextmanager
async def keeping_fresh(
    resources: Resources, *, count: Callable[[str, int], None] = lambda *_: None
) -> AsyncIterator[None]:
    """Read the sources that collections keep when they are due, beside the body.

    ``count`` is told how many documents were ``accepted`` and ``rejected``.
    """
    stopped = asyncio.Event()
    task = asyncio.create_task(SourceSchedule(resources, count=count).run(stopped), name="kept-sources")
    try:
        yield
    finally:
        stopped.set()
        await task
