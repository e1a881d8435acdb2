"""``/v1/search``: several collections and several queries, one list of results."""

from __future__ import annotations

from fastapi import Request, Response

from service.access import needs, principal_of
from service.answer import render_many
from service.deps import state_of
from service.door import SEARCH_PROBLEMS, Door
from service.schemas.many_searches import ManySearchesBody, ManySearchesView
from service.wire import json_response
from winnow.core import errors
from winnow.operations.collections import check_name

router = Door(
    tag="search",
    invalid=errors.InvalidQuery,
    problems=(*SEARCH_PROBLEMS, errors.InvalidCollection),
)


@router.post("/v1/search", response_model=ManySearchesView, responses=router.problems(), openapi_extra=needs("search"))
async def search_several(body: ManySearchesBody, request: Request) -> Response:
    """Search several collections, for one query or several, and merge what is found."""
    state, principal = state_of(request), principal_of(request)
    requests = []
    for name in dict.fromkeys(body.collections):
        check_name(name)
        principal.require("search", collection=name)
        fields = (await state.resources.collections.get(name)).fields
        requests += body.to_requests(name, fields, most=principal.max_top_n)
    answer = await state.work.run_many(principal, requests, facets=body.to_facets(), cursor=body.cursor)
    return json_response(render_many(answer))
