"""One search as every caller runs it: the service and its doors, and the command line."""

from __future__ import annotations

from winnow.core.principal import Principal
from winnow.core.search import SearchAnswer, SearchRequest
from winnow.operations.resources import Resources
from winnow.search.limits import SearchDeadline


async def search_one(
    resources: Resources, principal: Principal, request: SearchRequest, deadline: SearchDeadline | None = None
) -> SearchAnswer:
    """Answer one search; ``deadline`` is when it has to be done, by default its budget from now.

    Raises:
        WinnowError: as ``TwoStageSearch.run`` does.
    """
    return await resources.search.run(request, principal, deadline)
