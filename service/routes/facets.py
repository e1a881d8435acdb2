"""``/v1/collections/{name}/facets/{field}``: a look for values of one field."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response

from service.access import needs
from service.deps import CollectionName, PrincipalDep, ResourcesDep
from service.door import Door
from service.facet_answer import render_found
from service.schemas.common import json_parameter
from service.schemas.facets import FoundValuesView, ValueSearchParameters
from service.wire import json_response
from winnow.core import errors
from winnow.operations.facets import find_values

router = Door(
    "/v1/collections/{name}/facets",
    tag="search",
    invalid=errors.InvalidQuery,
    problems=(errors.CollectionNotFound, errors.InvalidQuery, errors.InvalidFilter, errors.UpstreamUnavailable),
)


@router.get("/{field}", response_model=FoundValuesView, responses=router.problems(), openapi_extra=needs("search"))
async def find_facet_values(
    name: CollectionName,
    field: Annotated[str, Path(description="a declared field", examples=["lang"])],
    parameters: Annotated[ValueSearchParameters, Query()],
    principal: PrincipalDep,
    resources: ResourcesDep,
) -> Response:
    """Values of a field that begin with `q`, with the number of documents that have each, for a box that completes."""
    wanted = json_parameter("filter", parameters.filter, errors.InvalidFilter)
    wanted = json_parameter("filter", parameters.filter, errors.InvalidFilter)
    options = parameters.model_dump(include={"limit", "tenant"})
    found = await find_values(resources, principal, name, field, prefix=parameters.q, raw_filter=wanted, **options)
    return json_response(render_found(field, found))
