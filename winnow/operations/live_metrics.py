"""Metrics that are read when they are asked for: pools, queues, caches, breakers, the backlog, the disk."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from winnow.core.clock import Clock
from winnow.core.errors import WinnowError
from winnow.operations.resources import Resources
from winnow.operations.source_metrics import source_families
from winnow.ports import Embedder, KeptSource
from winnow.search.admission_queue import AdmissionQueue
from winnow.search.budgeted import BudgetedReranker
from winnow.search.guarded_models import GuardedReranker, ModelGuard
from winnow.search.query_cache import CachedEmbedder

BACKLOG_EVERY: Final = 5.0  # seconds for which the backlog is not counted again, however often metrics are asked for
BACKLOG_LIMIT: Final = 3.0  # seconds that counting it may take

log = logging.getLogger(__name__)


def stall_reason(seconds: float, limit: float) -> str | None:
    """Why a worker that made no step for ``seconds`` has to be started again; ``None`` up to the limit."""
    if seconds <= limit:
        return None
    return f"no step of the work on claimed documents for {seconds:.0f} s; the limit is {limit:.0f} s"


class LiveMetrics(Collector):
    """Reads the state of what it watches.

    Args:
        clock: the time of day.

    Attributes:
        queues: admission queues by the name of their pool.
        worker: documents that a worker of this process has claimed, and seconds since it last made a step.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._resources: Resources | None = None
        self._backlog: tuple[float, float] | None = None  # documents, seconds
        self._counted_at = -BACKLOG_EVERY
        self._sources: Sequence[KeptSource] = ()
        self.queues: Mapping[str, AdmissionQueue] = {}
        self.worker: Callable[[], tuple[int, float]] | None = None

    def watch(self, resources: Resources | None) -> None:
        """Read the state of these parts from now on; of none with ``None``, once they are closed."""
        self._resources = resources
        self._backlog, self._sources = None, ()

    async def refresh(self) -> None:
        """Count the backlog and read the sources again if that is due. Without an answer both have no value."""
        if self._resources is None or time.monotonic() - self._counted_at < BACKLOG_EVERY:
            return
        self._counted_at = time.monotonic()
        try:
            async with asyncio.timeout(BACKLOG_LIMIT):
                queue = self._resources.catalog.queue
                documents, oldest = await queue.backlog(), await queue.oldest_work()
                self._sources = await self._resources.catalog.sources.list()
        except (WinnowError, TimeoutError) as error:
            log.debug("the backlog is not counted: %s", error)
            self._backlog, self._sources = None, ()
            return
        age = 0.0 if oldest is None else max(0.0, (self._clock() - oldest).total_seconds())
        self._backlog = float(documents), age

    def describe(self) -> Iterator[Metric]:
        """The names, which do not depend on what is watched."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """All families; those of which nothing is known have no samples."""
        yield from self._pools()
        yield from self._breakers()
        yield from self._caches()
        yield from self._work()
        yield from source_families(self._sources)
        yield self._dropped()
        yield from self._disk()

    def _pools(self) -> Iterator[Metric]:
        busy = GaugeMetricFamily("winnow_pool_busy", "Places of a pool that are taken.", labels=["pool"])
        limit = GaugeMetricFamily("winnow_pool_limit", "Places that a pool has now.", labels=["pool"])
        waiting = GaugeMetricFamily("winnow_pool_waiting", "Requests that wait for a place.", labels=["pool"])
        admitted = CounterMetricFamily(
            "winnow_pool_requests",
            "Requests for a place: admitted, or shed at once or after a wait.",
            labels=["pool", "outcome"],
        )
        models = {name: guard.queue for name, (_, guard) in self._guards().items()}
        for name, queue in {**self.queues, **models}.items():
            busy.add_metric([name], queue.busy)
            limit.add_metric([name], queue.limit)
            waiting.add_metric([name], queue.waiting)
            admitted.add_metric([name, "admitted"], queue.admitted)
            admitted.add_metric([name, "shed"], queue.refused)
        if self._resources is not None:
            for name, (used, size) in self._resources.catalog.pools().items():
                busy.add_metric([name], used)
                limit.add_metric([name], size)
        yield from (busy, limit, waiting, admitted)

    def _breakers(self) -> Iterator[Metric]:
        open_ = GaugeMetricFamily(
            "winnow_breaker_open", "1 while a model is left alone after failures.", labels=["stage", "model"]
        )
        for name, (model, guard) in self._guards().items():
            open_.add_metric([name, model], float(guard.breaker.open))
        yield open_

    def _caches(self) -> Iterator[Metric]:
        asked = CounterMetricFamily("winnow_cache_requests", "Look-ups in a cache.", labels=["cache", "outcome"])
        entries = GaugeMetricFamily("winnow_cache_entries", "Entries of a cache.", labels=["cache"])
        limit = GaugeMetricFamily("winnow_cache_limit", "Entries that a cache may have.", labels=["cache"])
        for name, embedder in self._embedders().items():
            if isinstance(embedder, CachedEmbedder):
                asked.add_metric([name, "hit"], embedder.hits)
                asked.add_metric([name, "miss"], embedder.misses)
                entries.add_metric([name], embedder.entries)
                limit.add_metric([name], embedder.size)
        yield from (asked, entries, limit)

    def _work(self) -> Iterator[Metric]:
        backlog = GaugeMetricFamily("winnow_backlog_documents", "Documents of the installation that wait for a worker.")
        oldest = GaugeMetricFamily(
            "winnow_backlog_oldest_seconds", "Time since the one that waits longest was submitted."
        )
        claimed = GaugeMetricFamily("winnow_worker_documents", "Documents that this process has claimed.")
        stalled = GaugeMetricFamily(
            "winnow_worker_stalled_seconds", "Time since a loop that has claimed work made a step."
        )
        if self._backlog is not None:
            backlog.add_metric([], self._backlog[0])
            oldest.add_metric([], self._backlog[1])
        if self.worker is not None:
            documents, seconds = self.worker()
            claimed.add_metric([], documents)
            stalled.add_metric([], seconds)
        yield from (backlog, oldest, claimed, stalled)

    def _dropped(self) -> Metric:
        dropped = CounterMetricFamily(
            "winnow_analytics_dropped", "Searches that were not recorded, because too many waited to be written."
        )
        if self._resources is not None:
            dropped.add_metric([], self._resources.catalog.analytics.dropped)
        return dropped

    def _disk(self) -> Iterator[Metric]:
        free = GaugeMetricFamily("winnow_disk_free_bytes", "Free space where the data directory lies.")
        size = GaugeMetricFamily("winnow_disk_size_bytes", "Space where the data directory lies.")
        if self._resources is not None and self._resources.settings.keeps_data:
            _measure(self._resources.settings.data_dir, free, size)
        yield from (free, size)

    def _embedders(self) -> dict[str, Embedder]:
        resources = self._resources
        if resources is None:
            return {}
        further = {f"embed:{name}": embedder for name, embedder in resources.embedders.further.items()}
        following = {} if resources.embedders.next is None else {"embed:next": resources.embedders.next}
        return {"embed": resources.embedder, **further, **following}

    def _guards(self) -> dict[str, tuple[str, ModelGuard]]:
        """The model and its guard, by stage."""
        found: dict[str, tuple[str, ModelGuard]] = {}
        for name, embedder in self._embedders().items():
            if isinstance(embedder, CachedEmbedder) and embedder.guard is not None:
                found[name] = embedder.info.model, embedder.guard
        if self._resources is not None:
            reranker = self._resources.search.reranker
            if isinstance(reranker, BudgetedReranker):
                reranker = reranker.unbudgeted
            if isinstance(reranker, GuardedReranker):
                found["rerank"] = reranker.info.model, reranker.guard
        return found


def _measure(folder: Path, free: GaugeMetricFamily, size: GaugeMetricFamily) -> None:
    with suppress(OSError):
        usage = shutil.disk_usage(folder)
        free.add_metric([], usage.free)
        size.add_metric([], usage.total)
