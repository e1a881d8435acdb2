"""The four ways to search, each run over every query through the code that serves users."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Protocol

from winnow.core.principal import LOCAL, Principal
from winnow.core.search import RerankOptions, SearchAnswer, SearchMode, SearchRequest, StageReport
from winnow.core.settings import Settings
from winnow.evaluation.metrics import DEPTH

HYBRID: Final = "hybrid"
TWO_STAGE: Final = "two_stage"
STAGES: Final = ("embed", "retrieve", "rerank")
QUERIES_KEPT: Final = 8

BUDGET_MS: Final = 60_000.0  # quality is measured, so no query may be cut short
_WARM_UP_QUERIES: Final = 5

OnQuery = Callable[[str, int, int], None]
"""Called with the name of the run, the number of answered queries and the number of all queries."""


@dataclass(frozen=True, slots=True)
class Mode:
    """How one run searches."""

    name: str
    mode: SearchMode
    rerank: bool = False


MODES: Final = (
    Mode("sparse", "sparse"),
    Mode("dense", "dense"),
    Mode(HYBRID, "hybrid"),
    Mode(TWO_STAGE, "hybrid", rerank=True),
)


class Searcher(Protocol):
    """Answers searches: ``winnow.search.two_stage.TwoStageSearch``."""

    async def run(self, request: SearchRequest, principal: Principal) -> SearchAnswer: ...


class AnswerQuery(Protocol):
    """Answers one query in one mode with the ``DEPTH`` best documents."""

    async def __call__(self, query: str, mode: Mode) -> Answered: ...


@dataclass(frozen=True, slots=True)
class Answered:
    """The measured parts of one answer."""

    documents: tuple[str, ...]
    ms: float
    degraded: bool
    stages: Mapping[str, StageReport]


def for_measurement(settings: Settings) -> Settings:
    """``settings`` with a cache of query vectors too small to carry over from one run to the next.

    The second stage of one search still finds the vector that the first one computed, as it does for users.
    """
    return settings.model_copy(update={"search": settings.search.model_copy(update={"embed_cache": QUERIES_KEPT})})


async def run_queries(
    answer: AnswerQuery,
    queries: Mapping[str, str],
    mode: Mode,
    *,
    concurrency: int = 1,
    progress: OnQuery = lambda *_: None,
) -> dict[str, Answered]:
    """Answer every query in one mode.

    Args:
        answer: answers a query.
        queries: text by id.
        mode: how to search.
        concurrency: searches at a time; with more than 1 the latencies include waiting.
        progress: called after every query.

    Returns:
        the answers by query id, in the order of ``queries``.

    Raises:
        WinnowError: a search failed; the others are cancelled.
    """
    for text in list(queries.values())[:_WARM_UP_QUERIES]:
        await answer(text, mode)
    answers: dict[str, Answered] = {}
    places = asyncio.Semaphore(concurrency)

    async def run(key: str, text: str) -> None:
        async with places:
            answers[key] = await answer(text, mode)
        progress(mode.name, len(answers), len(queries))

    try:
        async with asyncio.TaskGroup() as tasks:
            for key, text in queries.items():
                tasks.create_task(run(key, text))
    except ExceptionGroup as group:  # the first error says it all, and callers handle errors, not groups of them
        raise group.exceptions[0] from None
    return {key: answers[key] for key in queries}


def in_process(searcher: Searcher, collection: str) -> AnswerQuery:
    """Queries answered by ``searcher`` in a collection that nothing restricts."""

    async def answer(query: str, mode: Mode) -> Answered:
        started = perf_counter()
        found = await searcher.run(_request(collection, query, mode), LOCAL)
        return Answered(
            documents=tuple(dict.fromkeys(result.candidate.document_id for result in found.results)),
            ms=(perf_counter() - started) * 1000,
            degraded=found.degraded,
            stages={name: getattr(found, name) for name in STAGES},
        )

    return answer


def _request(collection: str, query: str, mode: Mode) -> SearchRequest:
    return SearchRequest(
        collection=collection,
        query=query,
        top_k=DEPTH,
        top_n=DEPTH,
        mode=mode.mode,
        rerank=RerankOptions(enabled=mode.rerank),
        group_by="document",
        return_documents=False,
        highlight=False,
        budget_ms=BUDGET_MS,
    )
