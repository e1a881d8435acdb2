"""Maintenance of the catalog: repeated deletions and old jobs. Any worker may do it; doing it twice does no harm."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final

from indexer.worker.claims import wait_for
from indexer.worker.pipeline import Pipeline
from winnow.core.clock import Clock, utc_now
from winnow.core.errors import WinnowError
from winnow.core.settings import IndexingSettings
from winnow.ports import Catalog

log = logging.getLogger(__name__)

MAINTENANCE_SECONDS: Final = 60.0
REMOVALS: Final = 500
JOBS: Final = 1000


class Maintenance:
    """Carries out deletions a second time, and removes jobs that ended long ago.

    Args:
        pipeline: removes points.
        catalog: lists the deletions and the jobs.
        settings: how long jobs are kept.
        clock: tells the time of day.
    """

    def __init__(
        self, pipeline: Pipeline, catalog: Catalog, settings: IndexingSettings, clock: Clock = utc_now
    ) -> None:
        self._pipeline = pipeline
        self._catalog = catalog
        self._keep = timedelta(days=settings.keep_jobs_days)
        self._clock = clock

    async def run(self, stopped: asyncio.Event) -> None:
        """Run once a minute until ``stopped``; what fails is done a minute later."""
        while not stopped.is_set():
            try:
                await self.run_once()
            except WinnowError as error:
                log.warning("maintenance is postponed: %s", error.message)
            await wait_for(stopped, MAINTENANCE_SECONDS)

    async def run_once(self) -> None:
        """Carry out due deletions and remove old jobs, a bounded number at a time."""
        while removals := await self._catalog.queue.removals(limit=REMOVALS):
            for name in sorted({removal.collection for removal in removals}):
                await self._pipeline.remove([removal for removal in removals if removal.collection == name])
            await self._catalog.queue.forget_removals(removals)
        before = self._clock() - self._keep
        while await self._catalog.jobs.prune(before=before, limit=JOBS) == JOBS:
            pass
