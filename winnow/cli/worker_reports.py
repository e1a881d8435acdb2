"""What a worker's process says about itself on the port of operations."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from indexer.bulk.job import BulkJob
from indexer.worker.loop import Worker
from service.health import check_readiness
from service.readiness import ReadinessLog
from service.schemas.operations import Readiness
from winnow.core.package import winnow_version
from winnow.operations.live_metrics import stall_reason
from winnow.operations.metrics import Metrics
from winnow.operations.resources import Resources
from winnow.runtime import Local


@dataclass(frozen=True, slots=True)
class WorkerReports:
    """The reports of one worker.

    Attributes:
        stall_seconds: without a step of the worker, after which it counts as dead.
    """

    worker: Worker
    resources: Resources
    measured: Metrics
    stall_seconds: float
    readiness_log: ReadinessLog

    @classmethod
    def of(cls, local: Local) -> WorkerReports:
        """The reports of a worker that is about to run; counts its outcomes from now on."""
        assert not isinstance(local.worker, BulkJob), "a bulk job reports through Ray"
        worker, settings = local.worker, local.resources.settings
        metrics = Metrics(CollectorRegistry(), budget_ms=settings.search.budget_ms)
        metrics.describe(settings, winnow_version())
        metrics.live.watch(local.resources)
        metrics.live.worker = lambda: (worker.claimed, worker.stalled_seconds)
        worker.on_outcomes = metrics.observe_outcomes
        return cls(worker, local.resources, metrics, settings.operations.stall_seconds, ReadinessLog())

    async def stalled(self) -> str | None:
        """Whether claimed documents make no progress: a restart hands them to another worker at once."""
        return stall_reason(self.worker.stalled_seconds, self.stall_seconds)

    async def readiness(self) -> Readiness:
        """Whether catalog and store answer. Models are not asked: batches wait for them."""
        return self.readiness_log.note(await check_readiness(self.resources, {}))

    async def metrics(self) -> bytes:
        """All metrics of this process."""
        return await self.measured.text()
