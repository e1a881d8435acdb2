"""Several searches as one: over several collections, for several queries, with one list of results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from winnow.core.errors import InvalidQuery, first_error
from winnow.core.facets import Facets
from winnow.core.ids import new_id
from winnow.core.packing import folding_only
from winnow.core.principal import Principal
from winnow.core.search import SearchAnswer, SearchRequest
from winnow.operations.facets import check_facets_together, count_facets_together
from winnow.operations.many_pages import cursor_after_many, further_page_of_many
from winnow.operations.one_search import search_one
from winnow.operations.packing import Found, counting_tokenizer, pack_results
from winnow.operations.resources import Resources
from winnow.ports import Tokenizer
from winnow.search.duplicates import fold_results
from winnow.search.limits import SearchDeadline
from winnow.search.merging import FoundResult, ManyAnswers, merge_answers, renumbered
from winnow.search.second_stage import ms_since

MAX_SEARCHES: Final = 64
_AT_ONCE: Final = 4


async def search_many(
    resources: Resources,
    principal: Principal,
    requests: Sequence[SearchRequest],
    *,
    top_n: int,
    most: int = MAX_SEARCHES,
    facets: Facets | None = None,
    cursor: str | None = None,
) -> ManyAnswers:
    """Run ``requests``, some at a time, and merge what they find; ``facets`` count over all of them.

    ``cursor`` is ``next`` of the page before, of the same requests.

    Raises:
        InvalidQuery: there is no search, or more than ``most``, or a facet does not fit every collection, or the cursor
            continues others.
        CursorExpired: the results behind the cursor are no longer kept.
        WinnowError: one search failed.
    """
    if not 1 <= len(requests) <= most:
        message = f"a request is for 1 to {most} searches (collections times queries), not {len(requests)}"
        raise InvalidQuery(message, location=("collections",))
    if facets is not None:
        await check_facets_together(resources, principal, requests, facets)
    began = time.perf_counter()
    if cursor is None:
        answer = await _first_page(resources, principal, requests, top_n)
    else:
        together = partial(search_together, resources, principal)
        answer = await further_page_of_many(resources, principal, requests, cursor, together, top_n=top_n)
    if facets is not None:
        deadline = SearchDeadline(requests[0].budget_ms or resources.settings.search.budget_ms)
        counts = await count_facets_together(resources, principal, answer.answers, facets, deadline)
        answer = replace(answer, facets=counts)
    return replace(answer, took_ms=ms_since(began))


async def search_together(
    resources: Resources, principal: Principal, requests: Sequence[SearchRequest], *, everything: bool = False
) -> tuple[SearchAnswer, ...]:
    """The answers to all requests, some at a time; the first error ends all. ``everything``: see ``search_one``."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def run(request: SearchRequest) -> SearchAnswer:
        async with room:
            return await search_one(resources, principal, request, everything=everything)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run(request)) for request in requests]
    except ExceptionGroup as errors:
        raise first_error(errors) from None  # the caller's, as with one search
    return tuple(task.result() for task in tasks)


async def _first_page(
    resources: Resources, principal: Principal, requests: Sequence[SearchRequest], top_n: int
) -> ManyAnswers:
    packing = requests[0].packing
    tokenizer = await counting_tokenizer(resources, requests[0])
    bare = [replace(each, packing=folding_only(each.packing)) for each in requests]
    answers = await search_together(resources, principal, bare)
    kind, found = merge_answers(answers)
    page = ManyAnswers(new_id("srch"), answers, renumbered(found[:top_n]), kind, 0.0)
    if packing is not None:
        return await _packed(resources, requests[0], page, found, tokenizer, top_n=top_n)
    if len(found) <= top_n and not any(each.next for each in answers):
        return page
    return replace(page, next=await cursor_after_many(resources, principal, page))


async def _packed(
    resources: Resources,
    request: SearchRequest,
    page: ManyAnswers,
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
        return replace(page, results=renumbered(best))
    deadline = SearchDeadline(request.budget_ms or resources.settings.search.budget_ms)
    pack = await pack_results(resources, [Found(*each[:2]) for each in best], request, tokenizer, deadline)
    results = [best[i]._replace(result=result) for i, result in zip(pack.chosen, pack.results, strict=True)]
    return replace(page, results=renumbered(results), pack=pack.report, packed=pack.totals)
