"""Searches and calls of models as the service does them: within the caller's quota, admitted, and counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

from winnow.core.errors import Overloaded, WinnowError
from winnow.core.facets import Facets
from winnow.core.principal import Principal
from winnow.core.search import SearchAnswer, SearchRequest
from winnow.core.settings import Settings
from winnow.operations.admission import Admission
from winnow.operations.instant import browse
from winnow.operations.many_searches import MAX_SEARCHES, search_many
from winnow.operations.metrics import Metrics
from winnow.operations.one_search import Steps, search_in_steps, search_one
from winnow.operations.quotas import Allowance, CallerBudget, Quotas, Used
from winnow.operations.resources import Resources
from winnow.search.budgeted import budget_of
from winnow.search.limits import SearchDeadline
from winnow.search.merging import ManyAnswers

_Answer = TypeVar("_Answer")


class AdmittedWork:
    """Does what callers ask for as fast as it can be answered.

    Args:
        resources: the open resources; raises ``UpstreamUnavailable`` while they are not open.

    Attributes:
        searches, model_calls: admit them as fast as they are answered.
    """

    def __init__(self, settings: Settings, metrics: Metrics, resources: Callable[[], Resources]) -> None:
        self._settings = settings
        self._metrics = metrics
        self._resources = resources
        self._limits_all = settings.limits.is_set
        self.searches = Admission(settings.search.max_concurrent)
        self.model_calls = Admission(settings.search.max_concurrent)
        metrics.live.queues = {"searches": self.searches.queue, "model_calls": self.model_calls.queue}

    async def run_search(self, principal: Principal, asked: SearchRequest, steps: Steps | None = None) -> SearchAnswer:
        """One search, admitted and counted, in ``steps`` if they are asked for.

        Raises as ``TwoStageSearch.run``, and ``Overloaded``.
        """
        deadline = SearchDeadline(asked.budget_ms or self._settings.search.budget_ms)

        await self._use(principal, "searches")

        async def work() -> SearchAnswer:
            if steps is not None:
                return await search_in_steps(self._resources(), principal, asked, deadline, steps)
            if not asked.query and asked.mode == "instant":
                return await browse(self._resources(), principal, asked, deadline)
            return await search_one(self._resources(), principal, asked, deadline)

        with self._budget(principal), self._counting_errors():
            answer = await self.searches.run(work, principal, deadline)
        self._metrics.observe_search(answer)
        return answer

    def refusal(self, principal: Principal) -> Overloaded | None:
        """The error of a search that has to be turned away whatever it asks, which is counted; else ``None``."""
        error = self.searches.refusal(principal)
        if error is not None:
            self._metrics.observe_search_error(error.code)
        return error

    @contextmanager
    def _counting_errors(self) -> Iterator[None]:
        try:
            yield
        except WinnowError as error:
            self._metrics.observe_search_error(error.code)
            raise

    async def run_many(
        self,
        principal: Principal,
        requests: Sequence[SearchRequest],
        *,
        most: int = MAX_SEARCHES,
        facets: Facets | None = None,
        cursor: str | None = None,
    ) -> ManyAnswers:
        """Several searches as one, admitted and counted. Raises ``Overloaded``, and as ``search_many``."""
        top_n = requests[0].top_n if requests else 1
        deadline = SearchDeadline(max(1, len(requests)) * self._settings.search.budget_ms)

        await self._use(principal, "searches", len(requests))

        async def work() -> ManyAnswers:
            return await search_many(
                self._resources(), principal, requests, top_n=top_n, most=most, facets=facets, cursor=cursor
            )

        with self._budget(principal), self._counting_errors():
            answer = await self.searches.run(work, principal, deadline, tells=lambda _: False)
        for each in answer.answers:
            self._metrics.observe_search(each)
        return answer

    async def call_model(
        self, principal: Principal, work: Callable[[], Awaitable[_Answer]], *, bulk: bool = False
    ) -> _Answer:
        """Do ``work``, which calls a model, once it has a place; ``bulk`` comes after what others wait for.

        Raises ``Overloaded``, and as ``work``.
        """
        deadline = SearchDeadline(self._settings.server.model_seconds * 1000)
        with self._budget(principal):
            return await self.model_calls.run(work, principal, deadline, bulk=bulk)

    async def use_request(self, principal: Principal) -> Allowance | None:
        """Count a request of a caller, and return the remaining allowance. Raises ``RateLimited``."""
        return await self._use(principal, "requests")

    async def use_documents(self, principal: Principal, count: int) -> None:
        """Count documents that a caller submits; raises ``RateLimited``."""
        await self._use(principal, "documents", count)

    async def _use(self, principal: Principal, what: Used, count: int = 1) -> Allowance | None:
        quotas = self._quotas(principal)
        return None if quotas is None else await quotas.use(principal, what, count)

    def _quotas(self, principal: Principal) -> Quotas | None:
        """The quotas, where anything is limited for this caller."""
        return self._resources().quotas if self._limits_all or principal.limits else None

    def _budget(self, principal: Principal) -> AbstractContextManager[None]:
        """The block in which the tokens that models read count for the caller, where they are limited."""
        limits, quotas = self._settings.limits, self._quotas(principal)
        if quotas is None or not (limits.counts_tokens or "tokens_per_day" in principal.limits):
            return nullcontext()
        refuses = limits.when_tokens_are_spent == "refuse"
        return budget_of(CallerBudget(quotas, principal, refuses=refuses))
