"""``/v1/collections/{name}/search``: the two stages."""

from __future__ import annotations

from typing import Annotated, Final, cast

from fastapi import Query, Request, Response

from service.access import needs, principal_of
from service.answer import render_answer
from service.deps import CollectionName, state_of
from service.disconnect import while_connected
from service.door import SEARCH_PROBLEMS, Door, DoorRoute
from service.routes.search_steps import EVENTS, stream_steps, wants_events
from service.schemas.search import SearchBody, SearchParameters, SearchView
from service.wire import json_response
from winnow.core import errors

router = Door(
    "/v1/collections/{name}/search",
    tag="search",
    invalid=errors.InvalidQuery,
    problems=SEARCH_PROBLEMS,
)


@router.post("", response_model=SearchView, responses={**EVENTS, **router.problems()}, openapi_extra=needs("search"))
async def search(name: CollectionName, body: SearchBody, request: Request) -> Response:
    """Retrieve candidates, rerank them, and answer with both stages' scores.

    With `Accept: text/event-stream` the same in steps: `instant`, `retrieved` and `final`, each a whole answer.
    """
    return await _answer(name, body, request)


posted: Final = cast("DoorRoute", router.routes[-1])
"""The route of searches as JSON, which has a direct way."""


@router.get("", response_model=SearchView, responses={**EVENTS, **router.problems()}, openapi_extra=needs("search"))
async def search_by_query_string(
    name: CollectionName, parameters: Annotated[SearchParameters, Query()], request: Request
) -> Response:
    """The same search for browsers and curl."""
    return await _answer(name, parameters.to_body(), request)


async def _answer(name: str, body: SearchBody, request: Request) -> Response:
    state, principal = state_of(request), principal_of(request)
    principal.require("search", collection=name)
    # only a filter needs the collection's fields: the search looks the collection up itself
    fields = {} if body.filter is None else (await state.resources.collections.get(name)).fields
    asked = body.to_request(name, fields, most=principal.max_top_n)
    record = state.visitors.record(principal, body.session) if body.analytics else None
    if wants_events(request):
        return await stream_steps(request, state, principal, asked, record)
    answer = await while_connected(request.receive, state.work.run_search(principal, asked))
    rendered = render_answer(answer)
    if record is not None:
        rendered["search_id"] = await record.add(answer)
        record.close()
    return json_response(rendered)
