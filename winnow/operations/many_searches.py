"""Several searches as one: over several collections, for several queries, with one list of results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from winnow.core.errors import InvalidQuery, first_error
from winnow.core.facets import FacetCounts, Facets
from winnow.core.ids import new_id
from winnow.core.packing import PackTotals, folding_only
from winnow.core.principal import Principal
from winnow.core.search import Result, ScoreKind, SearchAnswer, SearchRequest, StageReport
from winnow.operations.facets import check_facets_together, count_facets_together
from winnow.operations.one_search import search_one
from winnow.operations.packing import Found, counting_tokenizer, pack_results
from winnow.operations.resources import Resources
from winnow.ports import Tokenizer
from winnow.search.duplicates import fold_results
from winnow.search.limits import SearchDeadline
from winnow.search.second_stage import ms_since

MAX_SEARCHES: Final = 64
_AT_ONCE: Final = 4
_RANK_CONSTANT: Final = 60  # of reciprocal rank fusion (Cormack et al. 2009, https://doi.org/10.1145/1571941.1572114)


class FoundResult(NamedTuple):
    """A result, the search that found it, and the score that orders it among those of other searches."""

    request: SearchRequest
    result: Result
    score: float


@dataclass(frozen=True, slots=True)
class ManyAnswers:
    """The answer to several searches.

    Attributes:
        answers: of each search, in the order of the requests.
        results: of all of them, best first; each chunk, or document where searches group by document, once.
        score_kind: ``relevance`` where the second stage scored every search; else results are ordered by the sum of
            1 / (60 + rank) over the searches that found them.
        took_ms: wall time in milliseconds.
        facets: over all searches; each document counts once.
    """

    id: str
    answers: tuple[SearchAnswer, ...]
    results: tuple[FoundResult, ...]
    score_kind: ScoreKind
    took_ms: float
    pack: StageReport | None = None
    packed: PackTotals | None = None
    facets: Mapping[str, FacetCounts] | None = None

    @property
    def degraded(self) -> bool:
        """Whether one of the searches was, or the texts around the results could not be read."""
        return any(answer.degraded for answer in self.answers) or (self.pack is not None and self.pack.status != "ok")


async def search_many(
    resources: Resources,
    principal: Principal,
    requests: Sequence[SearchRequest],
    *,
    top_n: int,
    most: int = MAX_SEARCHES,
    facets: Facets | None = None,
) -> ManyAnswers:
    """Run ``requests``, some at a time, and merge what they find; ``facets`` count over all of them.

    Raises:
        InvalidQuery: there is no search, or more than ``most``, or a facet does not fit every collection.
        WinnowError: one search failed.
    """
    if not 1 <= len(requests) <= most:
        message = f"a request is for 1 to {most} searches (collections times queries), not {len(requests)}"
        raise InvalidQuery(message, location=("collections",))
    if facets is not None:
        await check_facets_together(resources, principal, requests, facets)
    began, room, packing = time.perf_counter(), asyncio.Semaphore(_AT_ONCE), requests[0].packing
    tokenizer = await counting_tokenizer(resources, requests[0])

    async def run(request: SearchRequest) -> SearchAnswer:
        async with room:
            return await search_one(resources, principal, replace(request, packing=folding_only(request.packing)))

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run(request)) for request in requests]
    except ExceptionGroup as errors:
        raise first_error(errors) from None  # the caller's, as with one search
    answers = tuple(task.result() for task in tasks)
    kind: ScoreKind = "relevance" if all(answer.score_kind == "relevance" for answer in answers) else "retrieval"
    found = _by_relevance(answers) if kind == "relevance" else _by_ranks(answers)
    merged = ManyAnswers(new_id("srch"), answers, tuple(found[:top_n]), kind, 0.0)
    if packing is not None:
        merged = await _packed(resources, requests[0], merged, found, tokenizer, top_n=top_n)
    if facets is not None:
        deadline = SearchDeadline(requests[0].budget_ms or resources.settings.search.budget_ms)
        counts = await count_facets_together(resources, principal, answers, facets, deadline)
        merged = replace(merged, facets=counts)
    return replace(merged, took_ms=ms_since(began))


async def _packed(
    resources: Resources,
    request: SearchRequest,
    merged: ManyAnswers,
    found: Sequence[FoundResult],
    tokenizer: Tokenizer | None,
    *,
    top_n: int,
) -> ManyAnswers:
    """The answer with one pack of the results of all searches."""
    best, packing = list(found[:top_n]), request.packing
    if packing is not None and packing.fold_duplicates:
        folded = fold_results(found, lambda each: each.result, lambda each: each.request.collection, keep=top_n)
        best = [each._replace(result=each.result._replace(duplicates=others)) for each, others in folded]
    if packing is None or not packing.changes_texts:
        return replace(merged, results=tuple(best))
    deadline = SearchDeadline(request.budget_ms or resources.settings.search.budget_ms)
    pack = await pack_results(resources, [Found(*each[:2]) for each in best], request, tokenizer, deadline)
    results = [best[i]._replace(result=result) for i, result in zip(pack.chosen, pack.results, strict=True)]
    return replace(merged, results=tuple(results), pack=pack.report, packed=pack.totals)


def _by_relevance(answers: Iterable[SearchAnswer]) -> list[FoundResult]:
    """Each result once, with the best of its scores; those that the second stage did not look at come last."""
    best: dict[tuple[object, ...], FoundResult] = {}
    for request, result in _all(answers):
        score = -1.0 if result.relevance_score is None else result.relevance_score
        key = _identity(request, result)
        if key not in best or score > best[key].score:
            best[key] = FoundResult(request, result, score)
    return _ordered(best.values())


def _by_ranks(answers: Iterable[SearchAnswer]) -> list[FoundResult]:
    """Each result once, by reciprocal rank fusion; it is shown as the search shows it that ranks it highest."""
    fused: dict[tuple[object, ...], FoundResult] = {}
    for request, result in _all(answers):
        key, score = _identity(request, result), 1 / (_RANK_CONSTANT + result.rank)
        known = fused.get(key)
        if known is None:
            fused[key] = FoundResult(request, result, score)
        else:
            shown = known if known.result.rank <= result.rank else FoundResult(request, result, 0)
            fused[key] = shown._replace(score=known.score + score)
    return _ordered(fused.values())


def _all(answers: Iterable[SearchAnswer]) -> Iterable[tuple[SearchRequest, Result]]:
    return ((answer.request, result) for answer in answers for result in answer.results)


def _identity(request: SearchRequest, result: Result) -> tuple[object, ...]:
    candidate = result.candidate
    part = candidate.chunk.index if request.group_by == "chunk" else None
    return request.collection, candidate.document_id, part


def _ordered(found: Iterable[FoundResult]) -> list[FoundResult]:
    """Best first; ties by rank, then collection, then document, so that the order is the same every time."""
    return sorted(
        found,
        key=lambda each: (
            -each.score,
            each.result.rank,
            each.request.collection,
            each.result.candidate.document_id,
        ),
    )
