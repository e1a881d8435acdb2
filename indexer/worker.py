"""The loop that takes work from the ledger: claim, run the pipeline, renew the lease meanwhile."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from indexer.pipeline import Pipeline
from retrieval.errors import WinnowError
from retrieval.ports import Catalog, Claim, Outcome
from retrieval.settings import IndexingSettings

log = logging.getLogger(__name__)

LANES: Final = 3  # while one batch is embedded, others are cut and written
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
    ) -> None:
        self._pipeline = pipeline
        self._catalog = catalog
        self._settings = settings
        self.on_outcomes = on_outcomes
        self._wake = asyncio.Event()
        self._stopping = False
        self.owner = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"

    def wake(self) -> None:
        """Say that work waits, so that an idle worker does not sleep its poll out."""
        self._wake.set()

    def stop(self) -> None:
        """Ask the worker to end once the batches in hand are done."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until ``stop``; storage that fails is waited for, with growing pauses."""
        try:
            async with asyncio.TaskGroup() as lanes:
                for lane in range(LANES):
                    lanes.create_task(self._lane(), name=f"worker-lane-{lane}")
        finally:
            await self._catalog.release(self.owner)

    async def _lane(self) -> None:
        pause = self._settings.poll_seconds
        while not self._stopping:
            self._wake.clear()
            try:
                busy = await self.work_once()
                pause = self._settings.poll_seconds
            except WinnowError as error:
                log.warning("worker pauses for %.0f s: %s", pause, error.message)
                busy, pause = False, min(pause * 2, MAX_PAUSE_SECONDS)
            if not busy and not self._stopping:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause)

    async def work_once(self) -> bool:
        """Claim and carry out one batch; false if there was none."""
        claims = await self._catalog.claim(
            self.owner, limit=self._settings.batch_documents, lease_seconds=self._settings.lease_seconds
        )
        if not claims:
            return False
        async with self._renewing(claims):
            self.on_outcomes(await self._pipeline.run(claims))
        return True

    @asynccontextmanager
    async def _renewing(self, claims: Sequence[Claim]) -> AsyncIterator[None]:
        task = asyncio.create_task(self._renew(claims))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _renew(self, claims: Sequence[Claim]) -> None:
        lease = self._settings.lease_seconds
        while True:
            await asyncio.sleep(lease / 3)
            try:
                await self._catalog.renew(self.owner, claims, lease_seconds=lease)
            except WinnowError as error:
                log.warning("lease not renewed: %s", error.message)
