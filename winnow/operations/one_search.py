"""One search as every caller runs it: the service and its doors, and the command line."""

from __future__ import annotations

from dataclasses import replace

from winnow.core.principal import Principal
from winnow.core.search import SearchAnswer, SearchRequest
from winnow.operations.facets import check_search_facets, count_facets
from winnow.operations.resources import Resources
from winnow.search.limits import SearchDeadline


async def search_one(
    resources: Resources, principal: Principal, request: SearchRequest, deadline: SearchDeadline | None = None
) -> SearchAnswer:
    """Answer one search; ``deadline`` is when it has to be done, by default its budget from now.

    Raises:
        InvalidQuery: a facet does not fit the collection's fields.
        WinnowError: as ``TwoStageSearch.run`` does.
    """
    if request.facets is None:
        return await resources.search.run(request, principal, deadline)
    deadline = deadline or SearchDeadline(request.budget_ms or resources.settings.search.budget_ms)
    await check_search_facets(resources, principal, request, request.facets)
    answer = await resources.search.run(request, principal, deadline)
    return replace(answer, facets=await count_facets(resources, principal, answer, request.facets, deadline))
