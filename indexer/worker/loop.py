"""The worker: claims documents from the queue, indexes them, and does the maintenance of the catalog."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from indexer.worker.claims import ClaimLoop, release_leases, wait_for
from indexer.worker.lease import Lease
from indexer.worker.maintenance import Maintenance
from indexer.worker.pipeline import Pipeline
from indexer.worker.progress import Progress
from winnow.core.instruments import BATCHES
from winnow.core.settings import IndexingSettings
from winnow.core.tracing import batch_span
from winnow.ports import Catalog, Claim, Outcome

log = logging.getLogger("winnow.worker")

PIPELINED_BATCHES: Final = 3  # while one is embedded, others are chunked and written
STOP_SECONDS: Final = 30.0  # for the batches in progress to end in
GROWTH: Final = 8  # times the configured batch, while models answer at once


class Worker:
    """Works until it is stopped. Several workers may share one catalog.

    Args:
        pipeline: carries out batches.
        catalog: where work is claimed.
        settings: batches, leases and attempts.
        stall_seconds: without a step, after which the batches in progress are held to be what stopped the worker.

    Attributes:
        on_outcomes: called with the outcomes of each part of a batch; may be exchanged.
        claimed: documents that are being processed.
    """

    def __init__(
        self, pipeline: Pipeline, catalog: Catalog, settings: IndexingSettings, *, stall_seconds: float = math.inf
    ) -> None:
        self._pipeline = pipeline
        self._catalog = catalog
        self._settings = settings
        self._stall_seconds = stall_seconds
        self.on_outcomes: Callable[[Sequence[Outcome]], None] = lambda _: None
        self.claimed = 0
        self._maintenance = Maintenance(pipeline, catalog, settings)
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._limit: asyncio.Timeout | None = None
        self._progress: list[Progress] = []
        self.owner = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"

    @property
    def stalled_seconds(self) -> float:
        """The longest that one of the loops which carry out batches has gone without a step; 0 while all rest."""
        return max((each.stalled_seconds for each in self._progress), default=0.0)

    def wake(self) -> None:
        """Say that work waits, so that an idle worker does not sleep its poll out."""
        self._wake.set()

    def stop(self) -> None:
        """Ask the worker to end once the batches in progress are done, at the latest after ``STOP_SECONDS``."""
        if not self._stopped.is_set() and self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + STOP_SECONDS)
        self._stopped.set()
        self._wake.set()

    async def run(self) -> None:
        """Work until ``stop``; while storage is down, try again with growing pauses.

        Batches that a model holds up longer than ``STOP_SECONDS`` are left to the next worker.
        """
        try:
            async with asyncio.timeout(None) as self._limit, asyncio.TaskGroup() as group:
                for number in range(PIPELINED_BATCHES):
                    group.create_task(self._work(polls=number == 0), name=f"worker-{number}")
                group.create_task(self._maintenance.run(self._stopped), name="worker-maintenance")
        except TimeoutError:
            log.warning("gave up the batches in progress after %g s: another worker takes them", STOP_SECONDS)
        finally:
            self._limit = None
            # a stop says nothing about the documents, unless they are why the worker had to be stopped
            tried = not self._stopped.is_set() or self.stalled_seconds >= self._stall_seconds
            await release_leases(self._catalog.queue, self.owner, tried=tried)

    async def work_once(self) -> bool:
        """Claim and carry out one batch; false if there was none and more could not be queued."""
        return await self._claims(polls=True).claim() is not None

    async def _work(self, *, polls: bool) -> None:
        """Carry out batches until ``stop``. Of the loops that do, one ``polls`` for work and wakes the others."""
        claims = self._claims(polls=polls)
        self._progress.append(claims.progress)
        while not self._stopped.is_set():
            self._wake.clear()
            await claims.step()

    def _claims(self, *, polls: bool) -> ClaimLoop:
        # together the loops begin with one batch, which bounds what a killed worker has embedded in vain; what grows
        # beyond it took less than a second to embed
        limit = max(1, self._settings.batch_documents // PIPELINED_BATCHES)
        return ClaimLoop(
            queue=self._catalog.queue,
            owner=self.owner,
            settings=self._settings,
            limit=limit,
            most=limit * GROWTH,
            carry_out=self._carry_out,
            refill=self._pipeline.queue_more,
            pause=partial(self._pause, polls=polls),
            on_full=self._wake.set,
        )

    async def _carry_out(self, claims: Sequence[Claim], lease: Lease) -> Sequence[Outcome]:
        began = time.monotonic()
        self.claimed += len(claims)
        try:
            with batch_span(claims[0].collection, len(claims)):
                outcomes = await self._pipeline.run(claims, lease)
        finally:
            self.claimed -= len(claims)
        _report(claims, outcomes, time.monotonic() - began)
        self.on_outcomes(outcomes)
        return outcomes

    async def _pause(self, seconds: float, *, down: bool, polls: bool) -> None:
        if down:
            await wait_for(self._stopped, seconds)
        elif not self._stopped.is_set():
            await wait_for(self._wake, seconds if polls else None)


def _report(claims: Sequence[Claim], outcomes: Sequence[Outcome], seconds: float) -> None:
    """Measure a batch, and log it in one line."""
    wrong = [outcome for outcome in outcomes if outcome.error is not None]
    failed = [outcome for outcome in wrong if outcome.retry_in is None]
    BATCHES.labels("failed" if wrong else "ok").observe(seconds)
    counts = {
        "documents": len(claims),
        "done": len(outcomes) - len(wrong),
        "retried": len(wrong) - len(failed),
        "failed": len(failed),
        "chunks_embedded": sum(outcome.embedded for outcome in outcomes),
    }
    first = {"error": wrong[0].error} if wrong else {}
    members = {"collection": claims[0].collection, **counts, "ms": round(seconds * 1000, 1), **first}
    log.log(logging.WARNING if failed else logging.INFO, "batch", extra=members)
