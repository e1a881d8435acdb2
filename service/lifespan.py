"""The state of the running service, and how it is opened and closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from typing import TypeVar

from fastapi import FastAPI
from starlette.types import Scope

from service.health import ModelHealth, check_readiness, health_of
from service.readiness import ReadinessLog
from service.schemas.operations import Readiness
from winnow.core.errors import NotFound, UpstreamUnavailable, WinnowError
from winnow.core.principal import UNKNOWN, Principal
from winnow.core.search import SearchAnswer, SearchRequest
from winnow.core.settings import Settings
from winnow.operations.access import Access
from winnow.operations.admission import Admission, Backlog
from winnow.operations.attachment_reader import AttachmentReader
from winnow.operations.attachments import FileToAttach, attach_files
from winnow.operations.audit import REFUSED, event_of, is_refusal
from winnow.operations.filenames import Filenames
from winnow.operations.instant import browse
from winnow.operations.many_searches import MAX_SEARCHES, ManyAnswers, search_many
from winnow.operations.metrics import Metrics
from winnow.operations.one_search import Steps, search_in_steps, search_one
from winnow.operations.quotas import Allowance, CallerBudget, Quotas, Used
from winnow.operations.resources import OpenResources, Resources
from winnow.operations.tokens import Tokens
from winnow.search.budgeted import budget_of
from winnow.search.limits import SearchDeadline

_Answer = TypeVar("_Answer")


class ServiceState:
    """The state of one service.

    Attributes:
        settings: the settings of the process.
        metrics: the metrics behind ``/metrics``.
        backlog: refuses uploads while too many documents wait.
        quotas: count what callers use; ``None`` where nothing is limited.
        reader: reads attached files.
        filenames: names of uploaded files.
        searches, model_calls: admit them as fast as they are answered.
        draining: set when the process is about to stop: readiness fails, and streams end.
    """

    def __init__(self, settings: Settings, metrics: Metrics, resources: Resources | OpenResources) -> None:
        self.settings = settings
        self.metrics = metrics
        self._bootstrap = settings.server.bootstrap_secret
        self._access: Access | None = None
        self._tokens: Tokens | None = None
        self.searches = Admission(settings.search.max_concurrent)
        self.model_calls = Admission(settings.search.max_concurrent)
        self.backlog = Backlog(settings.indexing.max_backlog)
        self.quotas = Quotas(settings.limits) if settings.limits.is_set else None
        metrics.live.queues = {"searches": self.searches.queue, "model_calls": self.model_calls.queue}
        self.reader = AttachmentReader(
            lambda: self.resources, count=metrics.observe_documents, warn=metrics.observe_warning
        )
        self.filenames = Filenames()
        self.draining = False
        self._readiness_log = ReadinessLog()
        self._opening = None if isinstance(resources, Resources) else resources
        self._resources = resources if isinstance(resources, Resources) else None
        self._health: Mapping[str, ModelHealth] | None = None

    @property
    def resources(self) -> Resources:
        """The open resources; raises ``UpstreamUnavailable`` while they are not open."""
        if self._resources is None:
            raise UpstreamUnavailable("the service is starting or stopping; try again in a moment")
        return self._resources

    @property
    def health(self) -> Mapping[str, ModelHealth]:
        """The health of each model, by stage; raises as ``resources`` does."""
        if self._health is None:
            self._health = health_of(self.resources)
        return self._health

    @property
    def access(self) -> Access:
        """Finds the principal of a request; raises as ``resources`` does."""
        if self._access is None:
            self._access = Access(self.resources.catalog.keys, self.tokens, self._bootstrap)
        return self._access

    @property
    def tokens(self) -> Tokens:
        """Mints and verifies tokens; raises as ``resources`` does."""
        if self._tokens is None:
            self._tokens = Tokens(self.resources.catalog.tokens, self.resources.catalog.trail)
        return self._tokens

    async def principal_of(self, headers: Mapping[str, str]) -> Principal:
        """Who makes a request with these headers; raises ``WinnowError``, also as ``resources`` does."""
        return await self.access.principal(headers)

    async def readiness(self) -> Readiness:
        """Whether searches can be answered, dependency by dependency; raises as ``resources`` does."""
        readiness = Readiness(status="draining", checks={})
        if not self.draining:
            readiness = await check_readiness(self.resources, self.health)
        return self._readiness_log.note(readiness)

    def is_draining(self) -> bool:
        """Whether the process is about to stop."""
        return self.draining

    async def allowed_origins(self) -> Collection[str]:
        """The origins of all who may call from a browser: those of the settings and of all keys.

        Those of the settings alone while the catalog does not answer.
        """
        configured = self.settings.server.cors_origins
        try:
            return {*configured, *(await self.access.summary()).origins}
        except WinnowError:
            return configured

    def note_error(self, scope: Scope, error: Exception) -> None:
        """Record in the audit trail an answer that the caller's credential is the reason for."""
        if self._resources is None or not is_refusal(error):
            return
        principal = scope["state"].get("principal", replace(UNKNOWN, subject=getattr(error, "subject", "")))
        principal = replace(principal, request_id=scope["state"].get("request_id", ""))
        params = scope.get("path_params", {})
        collection = params.get("name", "")
        event = event_of(
            principal,
            REFUSED,
            collection=collection,
            document=params.get("id", "") if collection else "",
            outcome="withheld" if isinstance(error, NotFound) else getattr(error, "code", ""),
            operation=getattr(scope.get("route"), "name", ""),
        )
        self._resources.catalog.trail.note(event)

    async def run_search(self, principal: Principal, asked: SearchRequest, steps: Steps | None = None) -> SearchAnswer:
        """One search, admitted and counted, in ``steps`` if they are asked for.

        Raises as ``TwoStageSearch.run``, and ``Overloaded``.
        """
        deadline = SearchDeadline(asked.budget_ms or self.settings.search.budget_ms)

        await self._use(principal, "searches")

        async def work() -> SearchAnswer:
            if steps is not None:
                return await search_in_steps(self.resources, principal, asked, deadline, steps)
            if not asked.query and asked.mode == "instant":
                return await browse(self.resources, principal, asked, deadline)
            return await search_one(self.resources, principal, asked, deadline)

        with self._budget(principal), self._counting_errors():
            answer = await self.searches.run(work, principal, deadline)
        self.metrics.observe_search(answer)
        return answer

    @contextmanager
    def _counting_errors(self) -> Iterator[None]:
        try:
            yield
        except WinnowError as error:
            self.metrics.observe_search_error(error.code)
            raise

    async def run_many(
        self, principal: Principal, requests: Sequence[SearchRequest], *, most: int = MAX_SEARCHES
    ) -> ManyAnswers:
        """Several searches as one, admitted and counted. Raises ``Overloaded``, and as ``search_many``."""
        top_n = requests[0].top_n if requests else 1
        deadline = SearchDeadline(max(1, len(requests)) * self.settings.search.budget_ms)

        await self._use(principal, "searches", len(requests))

        async def work() -> ManyAnswers:
            return await search_many(self.resources, principal, requests, top_n=top_n, most=most)

        with self._budget(principal), self._counting_errors():
            answer = await self.searches.run(work, principal, deadline, tells=lambda _: False)
        for each in answer.answers:
            self.metrics.observe_search(each)
        return answer

    async def call_model(self, principal: Principal, work: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Do ``work``, which calls a model, once it has a place; raises ``Overloaded``, and as ``work``."""
        deadline = SearchDeadline(self.settings.server.model_seconds * 1000)
        with self._budget(principal):
            return await self.model_calls.run(work, principal, deadline)

    async def use_request(self, principal: Principal) -> Allowance | None:
        """Count a request of a caller; returns what is left, and raises ``RateLimited``."""
        return await self._use(principal, "requests")

    async def use_documents(self, principal: Principal, count: int) -> None:
        """Count documents that a caller submits; raises ``RateLimited``."""
        await self._use(principal, "documents", count)

    async def _use(self, principal: Principal, what: Used, count: int = 1) -> Allowance | None:
        return None if self.quotas is None else await self.quotas.use(principal, what, count)

    def _budget(self, principal: Principal) -> AbstractContextManager[None]:
        """The block in which the second stage's tokens count for the caller, where they are limited."""
        limits = self.settings.limits
        if self.quotas is None or not limits.counts_tokens:
            return nullcontext()
        refuses = limits.when_tokens_are_spent == "refuse"
        return budget_of(CallerBudget(self.quotas, principal, refuses=refuses))

    async def attach(
        self, principal: Principal, name: str, files: Sequence[FileToAttach], *, as_batch: bool = False
    ) -> str:
        """Attach kept files to a collection, and have them read.

        Returns and raises as ``attach_files``, and raises ``RateLimited``.
        """
        await self.use_documents(principal, len(files))
        batch = await attach_files(self.resources, principal, self.backlog, name, files, as_batch=as_batch)
        self.reader.wake()
        return batch

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the resources unless the owner passed open ones; check the models from the start."""
        async with AsyncExitStack() as stack:
            if self._opening is not None:
                self._resources = await stack.enter_async_context(self._opening(self.settings))
            if self.quotas is not None:
                stack.push_async_callback(self.quotas.close)
            self.metrics.live.watch(self._resources)
            stack.callback(self.metrics.live.watch, None)
            try:
                for health in self.health.values():
                    health.start()
                    stack.push_async_callback(health.close)
                self.reader.start()
                stack.push_async_callback(self.reader.close)
                yield
            finally:
                self.draining = True
                if self._opening is not None:
                    self._resources = self._health = self._access = self._tokens = None


def begin_drain(app: FastAPI) -> None:
    """Fail readiness so that load balancers send no new traffic; requests are still answered."""
    state: ServiceState = app.state.service
    state.draining = True
