"""The state of the running service, and how it is opened and closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from service.admitted import AdmittedWork
from service.callers import Callers
from service.health import ModelHealth, check_readiness, health_of
from service.readiness import ReadinessLog
from service.schemas.operations import CheckView, Readiness
from winnow.core.errors import UpstreamUnavailable
from winnow.core.principal import Principal
from winnow.core.settings import Settings
from winnow.operations.admission import Backlog
from winnow.operations.analytics import AnalyticsRetention
from winnow.operations.attachment_reader import AttachmentReader
from winnow.operations.attachments import FileToAttach, attach_files
from winnow.operations.filenames import Filenames
from winnow.operations.live_metrics import stall_reason
from winnow.operations.metrics import Metrics
from winnow.operations.resources import OpenResources, Resources
from winnow.operations.search_ids import SearchIds
from winnow.operations.search_log import SearchLog


def not_open() -> UpstreamUnavailable:
    """The error of what is asked before the service is open, or while it closes."""
    return UpstreamUnavailable("the service is starting or stopping; try again in a moment", retry_after=5)


class ServiceState:
    """The state of one service.

    Attributes:
        settings: the settings of the process.
        metrics: the metrics behind ``/metrics``.
        backlog: refuses uploads while too many documents wait.
        reader: reads attached files.
        filenames: names of uploaded files.
        callers: who makes requests.
        work: searches and calls of models, admitted.
        visitors: records searches and events, where the settings keep them.
        starting: what the process does before it is ready; ``None`` once it is.
        draining: set when the process is about to stop: readiness fails, and streams end.
    """

    def __init__(self, settings: Settings, metrics: Metrics, resources: Resources | OpenResources) -> None:
        self.settings = settings
        self.metrics = metrics
        self.callers = Callers(settings.server, lambda: self.resources)
        self.work = AdmittedWork(settings, metrics, lambda: self.resources)
        self.visitors = SearchLog(
            lambda: self.resources,
            SearchIds(lambda: self.callers.tokens),
            settings.analytics.enabled,
            count=metrics.observe_event,
        )
        self._retention = AnalyticsRetention(lambda: self.resources.catalog, days=settings.analytics.retention_days)
        self.backlog = Backlog(settings.indexing.max_backlog)
        self.reader = AttachmentReader(
            lambda: self.resources, count=metrics.observe_documents, warn=metrics.observe_warning
        )
        self.filenames = Filenames()
        self.starting: str | None = None
        self.draining = False
        self._readiness_log = ReadinessLog()
        self._opening = None if isinstance(resources, Resources) else resources
        self._resources = resources if isinstance(resources, Resources) else None
        self._health: Mapping[str, ModelHealth] | None = None

    @property
    def resources(self) -> Resources:
        """The open resources; raises ``UpstreamUnavailable`` while they are not open."""
        if self._resources is None:
            raise not_open()
        return self._resources

    @property
    def health(self) -> Mapping[str, ModelHealth]:
        """The health of each model, by stage; raises as ``resources`` does."""
        if self._health is None:
            self._health = health_of(self.resources)
        return self._health

    def stalled(self) -> str | None:
        """Why the process has to be started again: its own worker makes no step. Asks no other server."""
        worker = self.metrics.live.worker
        return None if worker is None else stall_reason(worker()[1], self.settings.operations.stall_seconds)

    async def readiness(self) -> Readiness:
        """Whether searches can be answered, dependency by dependency; raises as ``resources`` does."""
        if self.draining:
            readiness = Readiness(status="draining", checks={})
        elif self.starting is not None:
            warm_up = CheckView(status="warning", ms=0, age_s=0, reason=self.starting)
            return Readiness(status="starting", checks={"warm_up": warm_up})
        else:
            readiness = await check_readiness(self.resources, self.health)
        return self._readiness_log.note(readiness)

    def is_draining(self) -> bool:
        """Whether the process is about to stop."""
        return self.draining

    async def attach(
        self, principal: Principal, name: str, files: Sequence[FileToAttach], *, as_batch: bool = False
    ) -> str:
        """Attach kept files to a collection, and have them read.

        Returns and raises as ``attach_files``, and raises ``RateLimited``.
        """
        await self.work.use_documents(principal, len(files))
        batch = await attach_files(self.resources, principal, self.backlog, name, files, as_batch=as_batch)
        self.reader.wake()
        return batch

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the resources unless the owner passed open ones; check the models from the start."""
        async with AsyncExitStack() as stack:
            if self._opening is not None:
                self._resources = await stack.enter_async_context(self._opening(self.settings))
            self.metrics.live.watch(self._resources)
            stack.callback(self.metrics.live.watch, None)
            try:
                for health in self.health.values():
                    health.start()
                    stack.push_async_callback(health.close)
                for task in (self.reader, self._retention):
                    task.start()
                    stack.push_async_callback(task.close)
                yield
            finally:
                self.draining = True
                if self._opening is not None:
                    self._resources = self._health = None
                    self.callers.forget()


def begin_drain(app: FastAPI) -> None:
    """Fail readiness so that load balancers send no new traffic; requests are still answered."""
    state: ServiceState = app.state.service
    state.draining = True
