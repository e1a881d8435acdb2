"""Reranking for clients of other providers: Cohere, Jina, vLLM, DashScope, Text Embeddings Inference, LibreChat.

One answer serves Cohere, Jina and vLLM: each client reads its own members of it.
"""

from __future__ import annotations

import math
from typing import Any, Final

from fastapi import Request, Response

from service.access import principal_of
from service.deps import state_of
from service.door import MODEL_PROBLEMS, Door
from service.doors import shapes
from service.doors.bodies import foreign_json
from service.doors.relevant_spans import spans_of
from service.doors.rerank_bodies import (
    AnyRerankBody,
    DashScopeRerankBody,
    FlatRerankBody,
    RagRerankBody,
    Scoring,
    SimpleRerankBody,
    TeiRerankBody,
)
from service.doors.routes import post
from service.wire import json_response
from winnow.operations.model_calls import Ranking, rank_texts

_TAG: Final = "models"
_SURE: Final = 1e-7  # a probability that is closer to 0 or 1 has no finite log-odds

flat = Door(tag=_TAG, problems=MODEL_PROBLEMS, shape=shapes.RERANK, read_body=foreign_json)
compatible = Door(tag=_TAG, problems=MODEL_PROBLEMS, shape=shapes.DASHSCOPE_COMPATIBLE, read_body=foreign_json)
native = Door(tag=_TAG, problems=MODEL_PROBLEMS, shape=shapes.DASHSCOPE, read_body=foreign_json)
doors: Final = (flat, compatible, native)


@post(flat, "/v1/rerank")
async def rerank_jina(body: AnyRerankBody, request: Request) -> Response:
    """Score documents against a query: Cohere v1, Jina, vLLM, SiliconFlow, DMXAPI."""
    return await _dispatch(body, request, version="1")


@post(flat, "/v2/rerank")
async def rerank_cohere(body: AnyRerankBody, request: Request) -> Response:
    """Score documents against a query: Cohere v2, vLLM, the Vercel AI SDK."""
    return await _dispatch(body, request, version="2")


@post(flat, "/rerank")
async def rerank(body: AnyRerankBody, request: Request) -> Response:
    """Score documents against a query: vLLM, Open WebUI; `texts`: Text Embeddings Inference; `docs`: LibreChat."""
    return await _dispatch(body, request, version="2")


@post(compatible, "/compatible-api/v1/reranks", "/compatible-mode/v1/reranks")
async def rerank_compatible(body: FlatRerankBody, request: Request) -> Response:
    """Score documents against a query: DashScope's compatible API (qwen3-rerank)."""
    return await _flat(body, request, version="1")


@post(native, "/api/v1/services/rerank/text-rerank/text-rerank")
async def rerank_native(body: DashScopeRerankBody, request: Request) -> Response:
    """Score documents against a query: DashScope's own API and SDK (gte-rerank-v2, qwen3-vl-rerank with text)."""
    ranking = await _rank(body.scoring(), request)
    results = _results(ranking, body.input.documents if body.parameters.return_documents else None)
    usage = {"total_tokens": ranking.tokens}
    return json_response({"output": {"results": results}, "usage": usage, "request_id": request.state.request_id})


async def _dispatch(body: AnyRerankBody, request: Request, version: str) -> Response:
    match body:
        case TeiRerankBody():
            request.state.error_shape = shapes.TEI
            return json_response(_tei(await _rank(body.scoring(), request), body))
        case SimpleRerankBody():
            ranking = await _rank(body.scoring(), request)
            return json_response([{"text": body.docs[index], "score": score} for index, score in ranking.scores])
        case RagRerankBody():
            ranking = await _rank(body.scoring(), request)
            rows = [{"id": body.candidates[i].id, "index": i, "score": score} for i, score in ranking.scores]
            return json_response({"profile": body.profile, "model": ranking.model, "results": rows})
        case FlatRerankBody():
            return await _flat(body, request, version)


async def _flat(body: FlatRerankBody, request: Request, version: str) -> Response:
    ranking = await _rank(body.scoring(), request)
    state = state_of(request)
    answer = _superset(ranking, body, request, version)
    if body.relevant_spans.rules is None:
        return json_response(answer)
    report = await state.work.call_model(principal_of(request), lambda: spans_of(state.resources, body, ranking))
    for each in answer["results"]:
        if each["index"] in report.spans:
            each["relevant_spans"] = report.spans[each["index"]]
    if report.warnings:
        answer["meta"]["warnings"] = report.warnings
    return json_response(answer)


async def _rank(asked: Scoring, request: Request) -> Ranking:
    state, principal = state_of(request), principal_of(request)

    async def work() -> Ranking:
        return await rank_texts(
            state.resources,
            principal,
            asked.query,
            asked.texts,
            model=asked.model,
            instruct=asked.instruct,
            top_n=asked.top_n,
            max_tokens=asked.max_tokens,
        )

    return await state.work.call_model(principal, work)


def _superset(ranking: Ranking, body: FlatRerankBody, request: Request, version: str) -> dict[str, Any]:
    """Members that Cohere's, Jina's, vLLM's, DashScope's and the AI SDK's clients look for, together."""
    tokens = ranking.tokens
    return {
        "id": request.state.request_id,
        "object": "list",
        "model": ranking.model,
        "results": _results(ranking, body.documents if body.return_documents else None),
        "usage": {"total_tokens": tokens, "prompt_tokens": tokens},
        "meta": {
            "api_version": {"version": version},
            "billed_units": {"search_units": 1},
            "tokens": {"input_tokens": tokens, "output_tokens": 0},
        },
    }


def _results(ranking: Ranking, echoed: list[str | dict[str, Any]] | None) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = [{"index": index, "relevance_score": score} for index, score in ranking.scores]
    if echoed is not None:
        for each in results:
            document = echoed[each["index"]]
            each["document"] = {"text": document} if isinstance(document, str) else document
    return results


def _tei(ranking: Ranking, body: TeiRerankBody) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for index, score in ranking.scores:
        row: dict[str, Any] = {"index": index, "score": _log_odds(score) if body.raw_scores else score}
        rows.append(row | {"text": body.texts[index]} if body.return_text else row)
    return rows


def _log_odds(probability: float) -> float:
    certain = min(max(probability, _SURE), 1 - _SURE)
    return math.log(certain / (1 - certain))
