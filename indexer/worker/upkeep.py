"""What has to be done now and then, by whichever worker gets to it: twice does no harm."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from indexer.worker.pipeline import Pipeline
from winnow.core.clock import Clock
from winnow.ports import Catalog, Removal

UPKEEP_SECONDS: Final = 60.0
REMOVALS: Final = 500
JOBS: Final = 1000


class Upkeep:
    """Carries out deletions a second time, and forgets jobs that ended long ago.

    Args:
        pipeline: removes points.
        catalog: knows what to remove and what to forget.
        keep_jobs_days: how long a job can be asked for after its end.
        clock: tells the time of day.
    """

    def __init__(self, pipeline: Pipeline, catalog: Catalog, *, keep_jobs_days: float, clock: Clock) -> None:
        self._pipeline = pipeline
        self._catalog = catalog
        self._keep = timedelta(days=keep_jobs_days)
        self._clock = clock

    async def run_once(self) -> None:
        """Do what is due, a bounded number at a time."""
        while len(removals := await self._catalog.queue.removals(limit=REMOVALS)) > 0:
            by_collection: dict[str, list[Removal]] = {}
            for removal in removals:
                by_collection.setdefault(removal.collection, []).append(removal)
            for some in by_collection.values():
                await self._pipeline.remove(some)
            await self._catalog.queue.forget_removals(removals)
        before = self._clock() - self._keep
        while await self._catalog.jobs.prune(before=before, limit=JOBS) == JOBS:
            pass
