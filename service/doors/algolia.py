"""Algolia's search API, for sites that have its client: ``/1/indexes/*/queries`` and its neighbours.

Sources: Algolia's REST reference ("Search"), and what algoliasearch 5, InstantSearch 4 and DocSearch 5 send. Searches
are instant ones (``winnow.operations.instant``): these clients send one for every keystroke.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request, Response
from pydantic import BaseModel

from service.access import principal_of
from service.deps import CollectionName, state_of
from service.disconnect import while_connected
from service.door import SEARCH_PROBLEMS, Door
from service.doors.algolia_bodies import (
    MOST_HITS,
    AlgoliaFacetSearch,
    AlgoliaOptions,
    AlgoliaQueries,
    AlgoliaQuery,
    lenient_json,
)
from service.doors.algolia_filters import filter_of
from service.doors.algolia_hits import Hits, marked_prefix
from service.doors.routes import post
from service.errors import ErrorShape, Problem
from service.lifespan import ServiceState
from service.page_requests import require_search_only
from service.wire import JSON_TYPE, json_response
from winnow.core import errors
from winnow.core.facets import Facets
from winnow.core.filters import parse_filter
from winnow.core.principal import Principal
from winnow.core.search import SearchAnswer, SearchRequest
from winnow.core.types import FieldType
from winnow.operations.facets import find_values

_ECHOED: Final = ("query", "page", "hitsPerPage", "filters", "highlightPreTag", "highlightPostTag")


class AlgoliaErrorBody(BaseModel):
    """An error as Algolia's clients read it."""

    message: str
    status: int


def _error(problem: Problem, _: str | None) -> dict[str, Any]:
    return {"message": problem.detail, "status": SHAPE.status(problem)}


SHAPE: Final = ErrorShape(JSON_TYPE, AlgoliaErrorBody, _error, {422: 400})
door = Door(tag="search", invalid=errors.InvalidQuery, problems=SEARCH_PROBLEMS, shape=SHAPE, read_body=lenient_json)


@post(door, "/1/indexes/*/queries")
async def search_for_algolia(body: AlgoliaQueries, request: Request) -> Response:
    """Several searches of Algolia's clients; an index is a collection."""
    state, principal = state_of(request), _search_only(request)
    results: list[dict[str, Any]] = []
    for query in body.requests:
        answer = _facet_hits if query.type == "facet" else _hits
        results.append(await while_connected(request.receive, answer(state, principal, query.indexName, query)))
        if body.strategy == "stopIfEnoughMatches" and len(results[-1].get("hits", ())) >= query.hitsPerPage:
            break
    return json_response({"results": results})


@post(door, "/1/indexes/{name}/query")
async def search_index_for_algolia(name: CollectionName, body: AlgoliaOptions, request: Request) -> Response:
    """One search of Algolia's clients."""
    state, principal = state_of(request), _search_only(request)
    return json_response(await while_connected(request.receive, _hits(state, principal, name, body)))


@post(door, "/1/indexes/{name}/facets/{facet}/query")
async def search_facet_for_algolia(
    name: CollectionName, facet: str, body: AlgoliaFacetSearch, request: Request
) -> Response:
    """Values of a facet that begin with ``facetQuery``."""
    state, principal = state_of(request), _search_only(request)
    asked = AlgoliaQuery.model_validate({**body.model_dump(), "indexName": name, "facet": facet})
    return json_response(await while_connected(request.receive, _facet_hits(state, principal, name, asked)))


def _search_only(request: Request) -> Principal:
    principal = principal_of(request)
    require_search_only(principal)
    return principal


async def _hits(state: ServiceState, principal: Principal, name: str, query: AlgoliaOptions) -> dict[str, Any]:
    principal.require("search", collection=name)
    fields = (await state.resources.collections.get(name)).fields
    most = min(MOST_HITS, principal.max_top_n or MOST_HITS)
    tree = filter_of(query, fields)
    asked = SearchRequest(
        name,
        query.query.strip(),
        top_n=most,
        mode="instant",
        filter=None if tree is None else parse_filter(tree, fields),
        highlight=False,
        facets=_facets(query, fields),
    )
    answer = await state.work.run_search(principal, asked)
    body = _rendered(answer, name, query, most)
    search_id = await _recorded(state, principal, answer, query)
    return {**body, "queryID": search_id} if search_id and query.clickAnalytics else body


async def _recorded(
    state: ServiceState, principal: Principal, answer: SearchAnswer, query: AlgoliaOptions
) -> str | None:
    """Have the search kept where analytics are on; its signed id, which events name as ``queryID``.

    Left out are lists without a query, and requests that show no hits of what they found, such as those for counts.
    """
    begin = query.page * query.hitsPerPage
    page = answer.results[begin : begin + query.hitsPerPage]
    record = state.visitors.record(principal, query.userToken) if query.analytics else None
    if record is None or not query.query.strip() or (not page and answer.results):
        return None
    search_id = await record.add(replace(answer, results=page))
    record.close()
    return search_id


def _facets(query: AlgoliaOptions, fields: Mapping[str, FieldType]) -> Facets | None:
    keys = tuple(fields) if "*" in query.facets else tuple(dict.fromkeys(query.facets))
    return Facets(keys, limit=query.maxValuesPerFacet) if keys else None


def _rendered(answer: SearchAnswer, name: str, query: AlgoliaOptions, most: int) -> dict[str, Any]:
    """The answer to one query. At most ``most`` hits can be paged through: where there are more, counts say so."""
    total, per_page = len(answer.results), query.hitsPerPage
    found = answer.retrieve.details.get("documents", total)
    begin = min(query.page * per_page, total)
    body: dict[str, Any] = {
        "hits": Hits(query).render(answer, begin, begin + per_page),
        "nbHits": found if isinstance(found, int) else total,
        "page": query.page,
        "nbPages": math.ceil(total / per_page) if per_page else 0,
        "hitsPerPage": per_page,
        "exhaustiveNbHits": found != total or total < most,
        "query": query.query,
        "params": urlencode([(key, getattr(query, key)) for key in _ECHOED if key in query.model_fields_set]),
        "index": name,
        "queryID": answer.id,
        "processingTimeMS": max(1, round(answer.took_ms)),
    }
    if answer.facets is not None:
        body["facets"] = {
            key: {_label(each.value): each.documents for each in counts.values or ()}
            for key, counts in answer.facets.items()
        }
        body["facets_stats"] = _stats(answer)
        body["exhaustiveFacetsCount"] = all(counts.exact for counts in answer.facets.values())
    return body


def _stats(answer: SearchAnswer) -> dict[str, Any]:
    """Least, greatest, average and sum of the numeric facets."""
    found: dict[str, Any] = {}
    for key, counts in (answer.facets or {}).items():
        pairs = [(each.value, each.documents) for each in counts.values or ()]
        if not pairs or counts.omitted or not all(_is_number(value) for value, _ in pairs):
            continue
        total, number = sum(value * times for value, times in pairs), sum(times for _, times in pairs)
        values = [value for value, _ in pairs]
        found[key] = {"min": min(values), "max": max(values), "avg": total / number, "sum": total}
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _label(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


async def _facet_hits(state: ServiceState, principal: Principal, name: str, query: AlgoliaQuery) -> dict[str, Any]:
    principal.require("search", collection=name)
    began = time.perf_counter()
    fields = (await state.resources.collections.get(name)).fields
    found = await find_values(
        state.resources,
        principal,
        name,
        query.facet,
        prefix=query.facetQuery,
        raw_filter=filter_of(query, fields),
        limit=query.maxFacetHits,
    )
    hits = [
        {
            "value": _label(each.value),
            "highlighted": marked_prefix(_label(each.value), query.facetQuery, query),
            "count": each.documents,
        }
        for each in found.values
    ]
    spent = max(1, round((time.perf_counter() - began) * 1000))
    return {"facetHits": hits, "exhaustiveFacetsCount": found.exact, "processingTimeMS": spent}
