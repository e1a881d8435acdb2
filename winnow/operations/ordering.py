"""Searches whose results come in another order than by score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from winnow.core.access import view_of
from winnow.core.boosts import Boost
from winnow.core.clock import utc_now
from winnow.core.errors import InvalidQuery
from winnow.core.ordering import Ordering, check_ordering
from winnow.core.principal import Principal
from winnow.core.search import Result, SearchAnswer, SearchRequest
from winnow.core.types import Collection
from winnow.operations.paging import keep_results
from winnow.operations.resources import Resources
from winnow.operations.ruled_search import noted, pin_results
from winnow.search.arrangement import diversified, limited, sorted_by
from winnow.search.boosting import boosted
from winnow.search.cursors import request_digest
from winnow.search.limits import SearchDeadline
from winnow.search.two_stage import highlighted

MOST_DIVERSE: Final = 200  # results that marginal relevance looks at


async def search_ordered(
    resources: Resources,
    principal: Principal,
    request: SearchRequest,
    ordering: Ordering,
    deadline: SearchDeadline,
    *,
    pins: Sequence[str] = (),
) -> SearchAnswer:
    """Rank everything, bring it into the order that is asked for behind the pinned documents, and cut the first page.

    Raises:
        InvalidQuery: the order is by an undeclared field, or the mode has none.
        WinnowError: as ``TwoStageSearch.run`` does.
    """
    principal.require("search", collection=request.collection)
    if request.mode == "instant":
        raise InvalidQuery("sort, max_per, mmr and boosts need a full search; mode is instant", location=("mode",))
    collection = await resources.collections.get(request.collection)
    check_ordering(ordering, collection.fields)
    answer = await resources.search.run(request, principal, deadline, everything=True)
    if ordering.boosts:
        answer = replace(answer, results=_boosted(collection, answer, ordering.boosts))
    results: Sequence[Result] = answer.results
    if ordering.mmr:
        results = await _diverse(resources, collection, answer, ordering.mmr, deadline)
    if ordering.max_per is not None:
        results = limited(results, ordering.max_per, collection.fields[ordering.max_per.key])
    if ordering.sort:
        results = sorted_by(results, ordering.sort, collection.fields)
    if pins:
        results, failure = await pin_results(resources, principal, request, pins, results, deadline=deadline)
        answer = noted(answer, failure)
    results = [each._replace(rank=rank) for rank, each in enumerate(results, 1)]
    page, following = results[: request.top_n], None
    if request.packing is None:
        digest = request_digest(request, view_of(principal, request.tenant), collection)
        following = await keep_results(resources, digest, answer, results[request.top_n :])
    return replace(answer, results=highlighted(request, page), next=following, took_ms=deadline.spent_ms())


def _boosted(collection: Collection, answer: SearchAnswer, boosts: Sequence[Boost]) -> tuple[Result, ...]:
    window = int(answer.retrieve.details["candidates"])
    kind, now = answer.score_kind, utc_now()
    return tuple(boosted(answer.results, boosts, collection.fields, kind=kind, window=window, now=now))


async def _diverse(
    resources: Resources, collection: Collection, answer: SearchAnswer, weight: float, deadline: SearchDeadline
) -> list[Result]:
    """The best results by marginal relevance, then the others."""
    head, rest = answer.results[:MOST_DIVERSE], answer.results[MOST_DIVERSE:]
    index = collection.chosen(answer.request.index) or collection.serving  # the second one may be gone meanwhile
    fetching = resources.store.fetch(index.ref, [each.candidate.point_id for each in head])
    points = await deadline.within(fetching, stage="mmr")
    vectors = {each: point.dense for each, point in points.items() if point.dense is not None}
    return [*diversified(head, vectors, answer.score_kind, weight), *rest]
