"""Embeddings for clients of other providers: OpenAI, Text Embeddings Inference, Cohere, DashScope."""

from __future__ import annotations

import base64
from typing import Any, Final

import numpy as np
from fastapi import Request, Response

from service.access import principal_of
from service.deps import state_of
from service.door import MODEL_PROBLEMS, Door
from service.doors import shapes
from service.doors.bodies import foreign_json
from service.doors.embedding_bodies import (
    CohereEmbeddingBody,
    DashScopeEmbeddingBody,
    HuggingFaceBody,
    OpenAIEmbeddingBody,
    TeiEmbeddingBody,
)
from service.doors.routes import post
from service.wire import json_response
from winnow.core.types import FloatArray
from winnow.operations.model_calls import TextToEmbed, TextVectors, embed_texts

_TAG: Final = "models"

openai = Door(tag=_TAG, problems=MODEL_PROBLEMS, shape=shapes.OPENAI, read_body=foreign_json)
tei = Door(tag=_TAG, problems=MODEL_PROBLEMS, shape=shapes.TEI, read_body=foreign_json)
cohere = Door(tag=_TAG, problems=MODEL_PROBLEMS, shape=shapes.RERANK, read_body=foreign_json)
dashscope = Door(tag=_TAG, problems=MODEL_PROBLEMS, shape=shapes.DASHSCOPE, read_body=foreign_json)
doors: Final = (openai, tei, cohere, dashscope)


@post(openai, "/v1/embeddings", "/compatible-mode/v1/embeddings")
async def embeddings(body: OpenAIEmbeddingBody, request: Request) -> Response:
    """Embed texts: OpenAI's clients, Jina, vLLM, DashScope's compatible API."""
    found = await _embed(request, body.texts(), body.model, body.dimensions)
    rows = _base64(found.vectors) if body.encoding_format == "base64" else found.vectors
    data = [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(rows)]
    usage = {"prompt_tokens": found.tokens, "total_tokens": found.tokens}
    return json_response({"object": "list", "data": data, "model": found.model, "usage": usage})


@post(tei, "/embed")
async def embed_tei(body: TeiEmbeddingBody, request: Request) -> Response:
    """Embed texts: Text Embeddings Inference."""
    return json_response((await _embed(request, body.texts(), None, body.dimensions)).vectors)


@post(tei, "/")
async def embed_hugging_face(body: HuggingFaceBody, request: Request) -> Response:
    """Embed texts, or compare one sentence with others by cosine: Hugging Face's client."""
    if isinstance(body, TeiEmbeddingBody):
        return await embed_tei(body, request)
    first, *others = (await _embed(request, body.texts(), None, None)).vectors
    return json_response([float(first @ each) for each in others])


@post(cohere, "/v2/embed")
async def embed_cohere(body: CohereEmbeddingBody, request: Request) -> Response:
    """Embed texts: Cohere v2."""
    found = await _embed(request, body.to_embed(), body.model, body.output_dimension)
    vectors = {each: _base64(found.vectors) if each == "base64" else found.vectors for each in body.embedding_types}
    return json_response(
        _cohere(found, body, request, {"response_type": "embeddings_by_type", "embeddings": vectors}, "2")
    )


@post(cohere, "/v1/embed")
async def embed_cohere_first(body: CohereEmbeddingBody, request: Request) -> Response:
    """Embed texts: Cohere v1."""
    found = await _embed(request, body.to_embed(), body.model, body.output_dimension)
    vectors = {"response_type": "embeddings_floats", "embeddings": found.vectors}
    return json_response(_cohere(found, body, request, vectors, "1"))


@post(dashscope, "/api/v1/services/embeddings/text-embedding/text-embedding")
async def embed_dashscope(body: DashScopeEmbeddingBody, request: Request) -> Response:
    """Embed texts: DashScope's own API and SDK."""
    found = await _embed(request, body.texts(), body.model, body.parameters.dimension)
    rows = [{"text_index": i, "embedding": vector} for i, vector in enumerate(found.vectors)]
    usage = {"total_tokens": found.tokens}
    return json_response({"output": {"embeddings": rows}, "usage": usage, "request_id": request.state.request_id})


async def _embed(request: Request, texts: list[TextToEmbed], model: str | None, dimensions: int | None) -> TextVectors:
    state, principal = state_of(request), principal_of(request)
    return await state.work.call_model(
        principal,
        lambda: embed_texts(state.resources, principal, texts, model=model, dimensions=dimensions),
        bulk=all(each.kind == "document" for each in texts),
    )


def _cohere(
    found: TextVectors, body: CohereEmbeddingBody, request: Request, vectors: dict[str, Any], version: str
) -> dict[str, Any]:
    meta = {"api_version": {"version": version}, "billed_units": {"input_tokens": found.tokens}}
    return {"id": request.state.request_id, **vectors, "texts": body.texts, "meta": meta}


def _base64(vectors: FloatArray) -> list[str]:
    """Each vector as the base64 of its little-endian float32."""
    return [base64.b64encode(row.tobytes()).decode() for row in np.ascontiguousarray(vectors, "<f4")]
