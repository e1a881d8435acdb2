"""Winnow in front of the servers of the suite: its adapters, and the settings of a whole process."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.real_vllm.fleet import Server
from winnow.core.settings.embedding import VllmEmbedding
from winnow.core.settings.rerank import VllmRerank
from winnow.core.types import FloatArray
from winnow.models.http.embed import HttpEmbedder
from winnow.models.http.rerank import HttpReranker
from winnow.ports import EmbeddedQuery
from winnow.ports.checks import passages_of


@asynccontextmanager
async def embedder(server: Server, **settings: Any) -> AsyncIterator[HttpEmbedder]:
    """The embedder as ``WINNOW_EMBEDDING__…`` configures it."""
    common = {"url": server.url, "api_key": server.deployment.api_key, "model": server.model}
    adapter = HttpEmbedder(VllmEmbedding(**common | settings))
    try:
        yield adapter
    finally:
        await adapter.close()


@asynccontextmanager
async def reranker(server: Server, **settings: Any) -> AsyncIterator[HttpReranker]:
    """The reranker as ``WINNOW_RERANK__…`` configures it."""
    common = {"url": server.url, "api_key": server.deployment.api_key, "model": server.model}
    adapter = HttpReranker(VllmRerank(**common | settings))
    try:
        yield adapter
    finally:
        await adapter.close()


async def scores(adapter: HttpReranker, query: str, documents: list[str], instruct: str | None = None) -> FloatArray:
    """The scores of plain texts."""
    return (await adapter.rerank(EmbeddedQuery(query), passages_of(documents), instruct=instruct)).scores


def environment(embedding: Server, rerank: Server, *, dimensions: int) -> dict[str, str]:
    """The environment of a process that has both stages on vLLM."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("WINNOW_")}
    given = {
        "PYTHONUNBUFFERED": "1",
        "WINNOW_EMBEDDING__PROVIDER": "vllm",
        "WINNOW_EMBEDDING__URL": embedding.url,
        "WINNOW_EMBEDDING__API_KEY": embedding.deployment.api_key,
        "WINNOW_EMBEDDING__DIMENSIONS": str(dimensions),
        "WINNOW_RERANK__PROVIDER": "vllm",
        "WINNOW_RERANK__URL": rerank.url,
        "WINNOW_RERANK__API_KEY": rerank.deployment.api_key,
    }
    return inherited | {key: value for key, value in given.items() if value}  # a server without a key needs none
