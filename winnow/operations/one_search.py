"""One search as every caller runs it: the service and its doors, and the command line."""

from __future__ import annotations

from dataclasses import replace

from winnow.core.principal import Principal
from winnow.core.search import SearchAnswer, SearchRequest
from winnow.operations.facets import check_search_facets, count_facets
from winnow.operations.instant import search_instant
from winnow.operations.packing import counting_tokenizer, pack_answer
from winnow.operations.resources import Resources
from winnow.search.limits import SearchDeadline


async def search_one(
    resources: Resources, principal: Principal, request: SearchRequest, deadline: SearchDeadline | None = None
) -> SearchAnswer:
    """Answer one search; ``deadline`` is when it has to be done, by default its budget from now.

    Raises:
        InvalidQuery: a facet does not fit the collection's fields, or there is no such tokenizer.
        WinnowError: as ``TwoStageSearch.run`` does.
    """
    packing = request.packing if request.packing is not None and request.packing.changes_texts else None
    if request.facets is None and packing is None and request.mode != "instant":
        return await resources.search.run(request, principal, deadline)
    deadline = deadline or SearchDeadline(request.budget_ms or resources.settings.search.budget_ms)
    principal.require("search", collection=request.collection)
    if request.facets is not None:
        await check_search_facets(resources, principal, request, request.facets)
    tokenizer = await counting_tokenizer(resources, request)
    instant = search_instant(resources, principal, request, deadline) if request.mode == "instant" else None
    answer = await (instant or resources.search.run(request, principal, deadline))
    if request.facets is not None:
        answer = replace(answer, facets=await count_facets(resources, principal, answer, request.facets, deadline))
    return answer if packing is None else await pack_answer(resources, answer, tokenizer, deadline)
