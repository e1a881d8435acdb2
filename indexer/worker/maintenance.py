"""Maintenance of the catalog: repeated deletions, old jobs and events. Doing it twice does no harm."""

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
ROWS: Final = 1000


class Maintenance:
    """Carries out deletions a second time, and removes jobs that ended and events that happened long ago.

    Args:
        pipeline: removes points.
        catalog: lists the deletions and the jobs.
        settings: how long jobs and events are kept.
        clock: tells the time of day.
    """

    def __init__(
        self, pipeline: Pipeline, catalog: Catalog, settings: IndexingSettings, clock: Clock = utc_now
    ) -> None:
        self._pipeline = pipeline
        self._catalog = catalog
        self._keep_jobs = timedelta(days=settings.keep_jobs_days)
        self._keep_events = timedelta(days=settings.keep_audit_days)
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
        """Carry out due deletions and remove old jobs and events, a bounded number at a time."""
        while removals := await self._catalog.queue.removals(limit=REMOVALS):
            for name in sorted({removal.collection for removal in removals}):
                await self._pipeline.remove([removal for removal in removals if removal.collection == name])
            await self._catalog.queue.forget_removals(removals)
        now, catalog = self._clock(), self._catalog
        while await catalog.jobs.prune(before=now - self._keep_jobs, limit=ROWS) == ROWS:
            pass
        while await catalog.trail.prune(before=now - self._keep_events, limit=ROWS) == ROWS:
            pass
        while await catalog.lists.prune(limit=ROWS) == ROWS:
            pass
