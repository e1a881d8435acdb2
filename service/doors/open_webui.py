"""Open WebUI's web search, engine *external*: ``{query, count}`` in, a bare list of links out."""

from __future__ import annotations

from typing import Final

from fastapi import Request, Response
from pydantic import Field

from service.access import principal_of
from service.answer import address_of
from service.deps import CollectionName, state_of
from service.disconnect import while_connected
from service.door import SEARCH_PROBLEMS, Door
from service.doors.bodies import ForeignBody, foreign_json
from service.doors.routes import post
from service.doors.shapes import OPENAI
from service.schemas.search import SearchBody
from service.wire import json_response
from winnow.core import errors

_WIDEST: Final = 100

door = Door(
    tag="search",
    invalid=errors.InvalidQuery,
    problems=SEARCH_PROBLEMS,
    shape=OPENAI,
    read_body=foreign_json,
)


class WebSearchBody(ForeignBody):
    """A search for links."""

    query: str
    count: int = Field(10, ge=1)


@post(door, "/v1/collections/{name}/web-search")
async def search_for_open_webui(name: CollectionName, body: WebSearchBody, request: Request) -> Response:
    """Search as Open WebUI searches the web; documents without an address are left out, for it shows links."""
    state, principal = state_of(request), principal_of(request)
    principal.require("search", collection=name)
    asked_for = min(body.count, _WIDEST) if "count" in body.model_fields_set else None
    search = SearchBody(query=body.query, top_n=asked_for, highlight=False)
    asked = search.to_request(name, {}, most=principal.max_top_n)
    answer = await while_connected(request.receive, state.run_search(principal, asked))
    links = [
        {"link": address, "title": each.candidate.title or address, "snippet": each.candidate.chunk.text}
        for each in answer.results
        if (address := address_of(each.candidate))
    ]
    return json_response(links)
