"""``/v1/vector_stores/{id}/search``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from fastapi import Request, Response

from service.access import principal_of
from service.answer import address_of
from service.deps import CollectionName, state_of
from service.disconnect import while_connected
from service.doors.vector_stores.bodies import RankingOptions, StoreSearchBody
from service.doors.vector_stores.shared import under_v1
from service.schemas.packing import PackingOptions
from service.schemas.search import RerankBody, SearchBody
from service.wire import json_response
from winnow.core.errors import InvalidFilter, InvalidInput
from winnow.core.principal import Principal
from winnow.core.search import ArmWeights, Result, SearchMode, SearchRequest
from winnow.core.tenancy import plain_id
from winnow.core.types import Collection
from winnow.operations.attachments import file_of
from winnow.operations.attributes import plain_attributes

_MODES: Final[Mapping[str, SearchMode]] = {"vector": "dense", "keyword": "sparse", "hybrid": "hybrid"}


@under_v1("POST", "/vector_stores/{name}/search", "search")
async def search_vector_store(name: CollectionName, body: StoreSearchBody, request: Request) -> Response:
    """Search a collection for one query, or for several as one."""
    state, principal = state_of(request), principal_of(request)
    principal.require("search", collection=name)
    collection = await state.resources.collections.get(name)
    requests = _requests(body, collection, principal)
    if len(requests) == 1:
        answer = await while_connected(request.receive, state.work.run_search(principal, requests[0]))
        found, degraded = answer.results, answer.degraded
    else:
        answers = await while_connected(request.receive, state.work.run_many(principal, requests))
        found, degraded = tuple(each.result for each in answers.results), answers.degraded
    names = await state.filenames.of(
        state.resources.catalog, [file_of(plain_id(each.candidate.document_id)) for each in found]
    )
    return json_response(
        {
            "object": "vector_store.search_results.page",
            "search_query": [each.query for each in requests],
            "data": [_result(each, names) for each in found],
            "has_more": False,
            "next_page": None,
            "degraded": degraded,
        }
    )


def _requests(body: StoreSearchBody, collection: Collection, principal: Principal) -> list[SearchRequest]:
    queries = [body.query] if isinstance(body.query, str) else body.query
    if not queries:
        raise InvalidInput("query is an empty list", location=("query",))
    options = body.ranking_options
    # who asks for no number gets what the credential allows, who asks for more than that is told
    asked = "max_num_results" in body.model_fields_set
    wanted = body.max_num_results if asked else min(body.max_num_results, principal.max_top_n or body.max_num_results)
    chains = {name: getattr(body, name) for name in PackingOptions.model_fields}
    requests: list[SearchRequest] = []
    for query in queries:
        search = SearchBody(
            query=query,
            mode=_MODES[body.search_mode],
            top_n=wanted,
            filter=body.filters,
            min_relevance=options.score_threshold or None,
            rerank=RerankBody(enabled=options.ranker != "none"),
            highlight=False,
            **chains,
        )
        try:
            requests.append(_weighted(search.to_request(collection.name, collection.fields), options))
        except InvalidFilter as error:
            error.location = ("filters", *error.location[1:])
            raise
    return requests


def _weighted(request: SearchRequest, options: RankingOptions) -> SearchRequest:
    """The search with the weights of its arms; an arm of weight 0 is left out."""
    if options.hybrid_search is None:
        return request
    weights = options.hybrid_search
    match weights.embedding_weight > 0, weights.text_weight > 0:
        case True, True:
            return replace(request, weights=ArmWeights(weights.embedding_weight, weights.text_weight))
        case True, False:
            return replace(request, mode="dense")
        case False, True:
            return replace(request, mode="sparse")
        case _:
            message = "embedding_weight and text_weight are both 0; give one of them a weight"
            raise InvalidInput(message, location=("ranking_options", "hybrid_search"))


def _result(result: Result, names: Mapping[str, str]) -> dict[str, Any]:
    candidate = result.candidate
    file_id = file_of(plain_id(candidate.document_id))
    score = result.relevance_score if result.relevance_score is not None else candidate.fused.score
    return {
        "file_id": file_id,
        "filename": names.get(file_id) or candidate.title or file_id,
        "score": min(max(score, 0.0), 1.0),
        "attributes": plain_attributes(candidate.metadata),
        "content": [{"type": "text", "text": result.text}],
        "citation": _citation(result),
    }


def _citation(result: Result) -> dict[str, Any]:
    """The place of the text: a member of our own, which OpenAI's clients hand on."""
    start, end = result.span
    address = address_of(result.candidate)
    return {"document_id": plain_id(result.candidate.document_id), "url": address, "start": start, "end": end}
