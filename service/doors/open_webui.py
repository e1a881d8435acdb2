"""Open WebUI's web search, engine *external*: ``{query, count}`` in, a bare list of links out."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request, Response
from pydantic import Field

from service.access import principal_of
from service.answer import address_of
from service.deps import CollectionName, state_of
from service.disconnect import while_connected
from service.door import SEARCH_PROBLEMS, Door
from service.doors.bodies import ForeignBody, foreign_json
from service.doors.packing_options import read_options
from service.doors.routes import post
from service.doors.shapes import OPENAI
from service.schemas.search import SearchBody
from service.wire import json_response
from winnow.core import errors
from winnow.core.search import Result
from winnow.core.tenancy import plain_id

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
    """Search as Open WebUI searches the web; documents without an address are left out, for it shows links.

    ``expand``, ``max_tokens`` and the like are part of the address that is typed there.
    """
    state, principal = state_of(request), principal_of(request)
    principal.require("search", collection=name)
    asked_for = min(body.count, _WIDEST) if "count" in body.model_fields_set else None
    options = read_options(request.query_params.multi_items())
    search = SearchBody(query=body.query, top_n=asked_for, highlight=False, **options.model_dump())
    asked = search.to_request(name, {}, most=principal.max_top_n)
    answer = await while_connected(request.receive, state.work.run_search(principal, asked))
    return json_response([_link(each) for each in answer.results if each.candidate.url])


def _link(result: Result) -> dict[str, Any]:
    """What Open WebUI reads, and the place of the text in its document."""
    candidate, (start, end) = result.candidate, result.span
    address = address_of(candidate)
    place = {"document_id": plain_id(candidate.document_id), "start": start, "end": end}
    return {"link": address, "title": candidate.title or address, "snippet": result.text, **place}
