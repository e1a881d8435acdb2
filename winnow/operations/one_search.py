"""One search as every caller runs it: the service and its doors, and the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal, TypeAlias

from winnow.core.errors import IndexLost, IndexRebuilding, InvalidQuery
from winnow.core.principal import Principal
from winnow.core.search import SearchAnswer, SearchRequest
from winnow.operations.facets import check_search_facets, count_facets
from winnow.operations.instant import search_instant
from winnow.operations.ordering import search_ordered
from winnow.operations.packing import counting_tokenizer, fold_answer, pack_answer
from winnow.operations.paging import further_page
from winnow.operations.rebuild import require_rebuilt
from winnow.operations.resources import Resources
from winnow.operations.ruled_search import explained, pinning, search_pinned, with_rules
from winnow.search.acting_rules import ActingRules
from winnow.search.limits import SearchDeadline, check_request

Step: TypeAlias = Literal["instant", "retrieved", "final"]
Steps: TypeAlias = Callable[[Step, SearchAnswer], None]


async def search_in_steps(
    resources: Resources, principal: Principal, request: SearchRequest, deadline: SearchDeadline, steps: Steps
) -> SearchAnswer:
    """Answer one search, and hand each answer on as soon as it is there: by names, of the first stage, the final one.

    Raises:
        WinnowError: as ``search_one`` does; steps that were handed on before stay true.
    """
    if request.cursor is None:  # further pages have no faster form
        first = replace(request, mode="instant", facets=None, packing=None, ordering=None)
        steps("instant", await search_one(resources, principal, first, deadline))
    answer = await search_one(
        resources, principal, request, deadline, retrieved=lambda found: steps("retrieved", found)
    )
    steps("final", answer)
    return answer


async def search_one(
    resources: Resources,
    principal: Principal,
    request: SearchRequest,
    deadline: SearchDeadline | None = None,
    *,
    retrieved: Callable[[SearchAnswer], None] | None = None,
    everything: bool = False,
) -> SearchAnswer:
    """Answer one search; ``deadline`` is when it has to be done, by default its budget from now.

    ``retrieved`` is given the first stage's answer before the second begins, in modes that have two. ``everything`` is
    that of ``TwoStageSearch.run``, for requests without facets, packing and order: rules hide documents and change
    words, and pin none.

    Raises:
        InvalidQuery: a facet does not fit the collection's fields, a cursor not the request, or there is no such
            tokenizer.
        CursorExpired: the results that a cursor goes on with are no longer kept.
        IndexRebuilding: the collection's index was lost and is not filled again; with the progress.
        WinnowError: as ``TwoStageSearch.run`` does.
    """
    answering = partial(_everything, resources, principal, request, deadline)
    if not everything:
        answering = partial(_answer, resources, principal, request, deadline, retrieved)
    try:
        return await answering()
    except (IndexLost, IndexRebuilding) as error:
        await require_rebuilt(resources, principal, request.collection, error)
    return await answering()


async def _everything(
    resources: Resources, principal: Principal, request: SearchRequest, deadline: SearchDeadline | None
) -> SearchAnswer:
    principal.require("search", collection=request.collection)
    request, _ = await with_rules(resources, principal, request)
    return await resources.search.run(request, principal, deadline, everything=True)


async def _answer(
    resources: Resources,
    principal: Principal,
    request: SearchRequest,
    deadline: SearchDeadline | None,
    retrieved: Callable[[SearchAnswer], None] | None,
) -> SearchAnswer:
    principal.require("search", collection=request.collection)
    check_request(request, max_top_n=principal.max_top_n)  # before a collection is looked for
    request, acting = await with_rules(resources, principal, request)
    answer = await _searched(resources, principal, request, deadline, retrieved, acting=acting)
    return answer if acting is None else explained(answer, acting)


async def _searched(
    resources: Resources,
    principal: Principal,
    request: SearchRequest,
    deadline: SearchDeadline | None,
    retrieved: Callable[[SearchAnswer], None] | None,
    *,
    acting: ActingRules | None,
) -> SearchAnswer:
    """The answer to a search that the rules of the collection were applied to."""
    pins = () if acting is None else acting.pins
    packing = request.packing if request.packing is not None and request.packing.changes_texts else None
    plain = request.facets is None and request.cursor is None and request.ordering is None
    if plain and packing is None and not pins and request.mode != "instant":
        return await resources.search.run(request, principal, deadline, retrieved=retrieved)
    deadline = deadline or SearchDeadline(request.budget_ms or resources.settings.search.budget_ms)
    if request.facets is not None:
        await check_search_facets(resources, principal, request, request.facets)
    if request.cursor is not None and request.packing is not None:
        message = "texts are packed on the first page alone; leave out cursor, or expand, max_tokens and the like"
        raise InvalidQuery(message, location=("cursor",))
    tokenizer = await counting_tokenizer(resources, request)
    if request.cursor is not None:
        answer = await further_page(resources, principal, request, request.cursor, deadline)
    elif request.ordering is not None:
        answer = await search_ordered(resources, principal, request, request.ordering, deadline, pins=pins)
    elif request.mode == "instant":
        answer = fold_answer(await search_instant(resources, principal, request, deadline, acting))
    else:
        if pins and retrieved is not None:
            retrieved = await pinning(resources, principal, request, pins, retrieved, deadline=deadline)
        answer = await resources.search.run(request, principal, deadline, retrieved=retrieved)
    if pins and request.cursor is None and request.ordering is None:
        answer = await search_pinned(resources, principal, answer, pins, deadline)
    if request.facets is not None:
        answer = replace(answer, facets=await count_facets(resources, principal, answer, request.facets, deadline))
    return answer if packing is None else await pack_answer(resources, answer, tokenizer, deadline)
