"""The loop that takes work from the ledger: claim, run the pipeline, renew the lease meanwhile."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from indexer.worker.isolation import isolate
from indexer.worker.lease import Lease
from indexer.worker.pipeline import Pipeline
from indexer.worker.renewal import renewing
from indexer.worker.upkeep import UPKEEP_SECONDS, Upkeep
from winnow.core.clock import utc_now
from winnow.core.errors import WinnowError
from winnow.core.settings import IndexingSettings
from winnow.ports import Catalog, Outcome

log = logging.getLogger(__name__)

LANES: Final = 3  # parts of a batch: while one is embedded, others are cut and written
MAX_PAUSE_SECONDS: Final = 30.0


class Worker:
    """Works until it is stopped. Several workers may share one catalog.

    Attributes:
        on_outcomes: called with what became of each batch; may be exchanged.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        catalog: Catalog,
        settings: IndexingSettings,
        on_outcomes: Callable[[Sequence[Outcome]], None] = lambda _: None,
        *,
        lanes: int = LANES,
    ) -> None:
        self._pipeline = pipeline
        self._catalog = catalog
        self._settings = settings
        self.on_outcomes = on_outcomes
        self._lanes = lanes
        # together they hold one batch: what a worker that is killed has embedded for nothing
        self._share = max(1, settings.batch_documents // LANES)
        self._upkeep = Upkeep(pipeline, catalog, keep_jobs_days=settings.keep_jobs_days, clock=utc_now)
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self.owner = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"

    def wake(self) -> None:
        """Say that work waits, so that an idle worker does not sleep its poll out."""
        self._wake.set()

    def stop(self) -> None:
        """Ask the worker to end once the batches in hand are done."""
        self._stopped.set()
        self._wake.set()

    async def run(self) -> None:
        """Work until ``stop``; storage that fails is waited for, with growing pauses."""
        try:
            async with asyncio.TaskGroup() as group:
                for lane in range(self._lanes):
                    group.create_task(self._lane(polls=lane == 0), name=f"worker-lane-{lane}")
                group.create_task(self._keep_up(), name="worker-upkeep")
        finally:
            await self._let_go()

    async def _let_go(self) -> None:
        try:
            await self._catalog.queue.release(self.owner)
        except WinnowError as error:
            log.warning("leases are not given back, they run out by themselves: %s", error.message)

    async def _lane(self, *, polls: bool) -> None:
        """Work, and when there is none look again now and then, or wait until a lane that ``polls`` finds some."""
        pause = self._settings.poll_seconds
        while not self._stopped.is_set():
            self._wake.clear()
            outcomes, down = await self._try_batch()
            if down is not None:
                log.warning("worker pauses for %.0f s: %s", pause, down)
                await _wait(self._stopped, pause)  # more work does not bring back what is down
                pause = min(pause * 2, MAX_PAUSE_SECONDS)
                continue
            pause = self._settings.poll_seconds
            if outcomes is None and not self._stopped.is_set():
                await _wait(self._wake, pause if polls else None)

    async def _try_batch(self) -> tuple[Sequence[Outcome] | None, str | None]:
        """As ``_batch``, with the reason where storage or a model is down."""
        try:
            outcomes = await self._batch()
        except WinnowError as error:
            return None, error.message
        return outcomes, next((each.error for each in outcomes or () if each.waited), None)

    async def work_once(self) -> bool:
        """Claim and carry out one batch; false if there was none and none is to come."""
        return await self._batch() is not None

    async def _batch(self) -> Sequence[Outcome] | None:
        """Claim and carry out one batch; ``None`` if there was none and none is to come."""
        lease = Lease(self._settings.lease_seconds)
        claims = await self._catalog.queue.claim(
            self.owner, limit=self._share, lease_seconds=self._settings.lease_seconds
        )
        if not claims:
            return () if await self._pipeline.queue_more() > 0 else None
        if len(claims) == self._share:
            self._wake.set()  # there is more than one lane's work
        parts = isolate(claims, max_attempts=self._settings.max_attempts)
        outcomes: list[Outcome] = []
        async with renewing(self._catalog.queue, self.owner, claims, lease, self._settings.lease_seconds):
            if parts.settled:
                await self._catalog.queue.commit(parts.settled)
            for part in parts.runs:
                outcomes += await self._pipeline.run(part, lease)
        self.on_outcomes(outcomes)
        return outcomes

    async def _keep_up(self) -> None:
        while not self._stopped.is_set():
            try:
                await self._upkeep.run_once()
            except WinnowError as error:
                log.warning("upkeep is put off: %s", error.message)
            await _wait(self._stopped, UPKEEP_SECONDS)


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for the event, at most so long."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
