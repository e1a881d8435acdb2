"""``/v1/collections/{name}/suggest``: what a query may become."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from service.access import needs
from service.deps import CollectionName, PrincipalDep, ResourcesDep
from service.door import Door
from service.schemas.suggestions import SuggestionsView, SuggestParameters
from winnow.core import errors
from winnow.operations.suggestions import suggest

router = Door(
    "/v1/collections/{name}/suggest",
    tag="search",
    invalid=errors.InvalidQuery,
    problems=(errors.CollectionNotFound, errors.InvalidQuery, errors.UpstreamUnavailable),
)


@router.get("", responses=router.problems(), openapi_extra=needs("search"))
async def suggest_queries(
    name: CollectionName,
    parameters: Annotated[SuggestParameters, Query()],
    principal: PrincipalDep,
    resources: ResourcesDep,
) -> SuggestionsView:
    """Titles, headings and popular queries for a box that completes what was typed. No model is called."""
    options = parameters.model_dump(include={"tenant", "language", "limit"})
    return SuggestionsView.of(await suggest(resources, principal, name, parameters.q, **options))
