"""The Model Context Protocol: search, fetch and list_collections as tools.

``search`` and ``fetch`` have the shape that ChatGPT asks for (OpenAI, "Building MCP servers for ChatGPT"): one text
item that holds the JSON of the structured content. The SDK speaks both generations of the protocol, with a session's
``initialize`` and without.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Annotated, Any, Final, TypeVar, cast

from fastapi import Request
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field
from starlette.types import ASGIApp

from service.access import principal_of
from service.answer import address_of
from service.doors.mcp_calls import ToolCalls
from service.lifespan import ServiceState
from service.schemas.search import SearchBody
from winnow.core.errors import InvalidFilter, WinnowError
from winnow.core.principal import Principal
from winnow.core.search import Result, SearchRequest
from winnow.core.tenancy import plain_id
from winnow.operations.collections import see_collections
from winnow.operations.documents import see_document
from winnow.operations.resources import Resources

MOST_COLLECTIONS: Final = 256
_READS: Final = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_Answer = TypeVar("_Answer")

FILTER_SHAPE: Final = '{"type": "eq|ne|gt|gte|lt|lte|in|nin", "key", "value"} or {"type": "and|or", "filters": […]}'
INSTRUCTIONS: Final = (
    "Two-stage semantic search over collections of documents. Call search with a question in natural language, then "
    "fetch with the id of a result for the whole document. Cite the url of a result where it has one."
)


class FoundDocument(BaseModel):
    """One result."""

    id: str = Field(description="collection/document id; what fetch takes")
    title: str
    url: str = Field(description="address to cite; empty where the document has none")
    text: str = Field(description="the passage that matched, with its neighbours where they are asked for")
    relevance_score: float | None = Field(description="0 to 1; null where the second stage did not score the result")
    collection: str
    start: int = Field(description="place of the passage in the document's text, in characters")
    end: int


class FoundDocuments(BaseModel):
    """Results, best first."""

    results: list[FoundDocument]
    degraded: bool = Field(description="a model was away: the order is that of the first stage")
    left_out: list[str] = Field(
        description="collections that were not searched: they lack a field that the filter names, or there are more "
        f"than the {MOST_COLLECTIONS} that one call searches; name one of them to search it"
    )


class WholeDocument(BaseModel):
    """A document."""

    id: str
    title: str
    text: str
    url: str
    metadata: dict[str, Any]


class CollectionSummary(BaseModel):
    """A collection."""

    name: str
    documents: int
    fields: dict[str, str] = Field(description="fields that filters may name, with their types")
    metadata: dict[str, Any]


class CollectionSummaries(BaseModel):
    """Collections, by name."""

    collections: list[CollectionSummary]


def build_server(version: str, state: ServiceState) -> MCPServer[Any]:
    """The server with its tools."""
    logging.getLogger("mcp").setLevel(logging.WARNING)  # it has a line for every request, as the service has
    server: MCPServer[Any] = MCPServer("winnow", title="Winnow", instructions=INSTRUCTIONS, version=version)

    @server.tool(title="Search", annotations=_READS)
    async def search(
        query: Annotated[str, Field(description="a question or keywords, in any language")],
        context: Context[Any, Any],
        *,
        collection: Annotated[str | None, Field(description="name of a collection; all of them without it")] = None,
        top_n: Annotated[int | None, Field(description="number of results; 10 by default", ge=1, le=100)] = None,
        filter: Annotated[
            dict[str, Any] | None,
            Field(
                description='{"type": "eq|ne|gt|gte|lt|lte|in|nin", "key", "value"} or {"type": "and|or", "filters"}'
            ),
        ] = None,
        expand: Annotated[int, Field(description="neighbouring chunks to read with each passage", ge=0, le=10)] = 0,
        max_tokens: Annotated[int | None, Field(description="the most tokens of all passages together", ge=1)] = None,
    ) -> FoundDocuments:
        """Search documents by meaning and by keywords."""
        body = SearchBody(query=query, top_n=top_n, filter=filter, expand=expand, max_tokens=max_tokens)
        return await _told(_search(state, _caller(context), body, collection))

    @server.tool(title="Fetch", annotations=_READS)
    async def fetch(
        id: Annotated[str, Field(description="id of a result of search")], context: Context[Any, Any]
    ) -> WholeDocument:
        """Read a whole document."""
        return await _told(_fetch(state, _caller(context), id))

    @server.tool(title="List collections", annotations=_READS)
    async def list_collections(context: Context[Any, Any]) -> CollectionSummaries:
        """List the collections that can be searched, with the fields that filters may name."""
        return await _told(_list(state, _caller(context)))

    return server


def over_http(server: MCPServer[Any], path: str) -> ASGIApp:
    """The server as an application. The service's own middleware checks hosts and origins, for it as for all routes."""
    unguarded = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    app = server.streamable_http_app(
        streamable_http_path=path, json_response=True, stateless_http=True, transport_security=unguarded
    )
    return ToolCalls(app, server.session_manager.app)


def _caller(context: Context[Any, Any]) -> Principal:
    return principal_of(cast("Request", context.request_context.request))


async def _told(work: Awaitable[_Answer]) -> _Answer:
    """The answer; an error of ours as one of the tool, so that the model reads what to change."""
    try:
        return await work
    except WinnowError as error:
        raise ToolError(error.message) from error


async def _search(
    state: ServiceState, principal: Principal, body: SearchBody, collection: str | None
) -> FoundDocuments:
    principal.require("search", collection=collection)
    requests, left_out = await _searches(state.resources, principal, body, collection)
    if not requests:
        return FoundDocuments(results=[], degraded=False, left_out=left_out)
    if len(requests) == 1:
        one = await state.work.run_search(principal, requests[0])
        results, degraded = [_found(requests[0].collection, each) for each in one.results], one.degraded
    else:
        answer = await state.work.run_many(principal, requests, most=MOST_COLLECTIONS)
        results = [_found(each.request.collection, each.result) for each in answer.results]
        degraded = answer.degraded
    return FoundDocuments(results=results, degraded=degraded, left_out=left_out)


async def _searches(
    resources: Resources, principal: Principal, body: SearchBody, collection: str | None
) -> tuple[list[SearchRequest], list[str]]:
    """A search a collection, and the collections that are not searched."""
    if collection is not None:
        found = await resources.collections.get(collection)
        return [body.to_request(found.name, found.fields, most=principal.max_top_n)], []
    requests, left_out = [], []
    wrong: InvalidFilter | None = None
    for seen, counts in await see_collections(resources.catalog, principal):
        if not counts.documents:
            continue
        try:
            requests.append(body.to_request(seen.name, seen.fields, most=principal.max_top_n))
        except InvalidFilter as error:
            wrong = error
            left_out.append(seen.name)
    if wrong is not None and not requests:  # then the filter is wrong everywhere: say why
        raise wrong
    left_out += [each.collection for each in requests[MOST_COLLECTIONS:]]
    return requests[:MOST_COLLECTIONS], left_out


async def _fetch(state: ServiceState, principal: Principal, id: str) -> WholeDocument:
    collection, _, document_id = id.partition("/")
    stored = await see_document(state.resources.catalog, principal, collection, document_id)
    document = stored.document
    return WholeDocument(
        id=id, title=document.title, text=document.text, url=document.url, metadata=dict(document.metadata)
    )


async def _list(state: ServiceState, principal: Principal) -> CollectionSummaries:
    found = await see_collections(state.resources.catalog, principal)
    return CollectionSummaries(
        collections=[
            CollectionSummary(
                name=each.name,
                documents=counts.documents,
                fields=dict(each.fields),
                metadata=dict(each.metadata),
            )
            for each, counts in found
        ]
    )


def _found(collection: str, result: Result) -> FoundDocument:
    candidate, (start, end) = result.candidate, result.span
    document_id = plain_id(candidate.document_id)
    return FoundDocument(
        id=f"{collection}/{document_id}",
        title=candidate.title or document_id,
        url=address_of(candidate),
        text=result.text,
        relevance_score=result.relevance_score,
        collection=collection,
        start=start,
        end=end,
    )
