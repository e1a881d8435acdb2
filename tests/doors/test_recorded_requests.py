"""Requests of applications that cannot run here, as they were recorded or as their source sends them, over the wire.

Clients that are Python or Node packages are called themselves (``test_model_clients``, ``test_store_clients``,
``test_mcp``); Dify is in ``test_dify``.
"""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from tests.conftest import Service

TEXTS = ["the weather is fine", "how to copy a file", "a file"]
QUERY = "copy a file"
AUTHORIZED = {"Authorization": "Bearer any", "User-Agent": "recorded"}


async def post(service: Service, path: str, body: Any, **headers: str) -> Any:
    answer = await service.client.post(path, json=body, headers=AUTHORIZED | headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_open_webui_embeddings(service):
    """Open WebUI 0.12.4, ``generate_openai_batch_embeddings``: no encoding_format, floats in order."""
    user = {"X-OpenWebUI-User-Name": "Ann", "X-OpenWebUI-User-Id": "1"}
    data = (await post(service, "/v1/embeddings", {"input": TEXTS, "model": "text-embedding-3-small"}, **user))["data"]
    assert [each["index"] for each in data] == [0, 1, 2]
    assert all(isinstance(value, float) for value in data[0]["embedding"])


async def test_open_webui_reranker(service):
    """Open WebUI 0.12.4, ``ExternalReranker``: the address as typed; every document has to come back once."""
    body = {"model": "jina-reranker-v2-base-multilingual", "query": QUERY, "documents": TEXTS, "top_n": len(TEXTS)}
    for path in ("/v1/rerank", "/rerank"):
        results = (await post(service, path, body))["results"]
        assert sorted(each["index"] for each in results) == [0, 1, 2]
        assert all(isinstance(each["relevance_score"], float) for each in results)


async def test_libre_chat(service):
    """LibreChat (@librechat/agents 3.2.21), its Jina reranker, and ``simple`` of a newer version of its source."""
    body = {
        "model": "jina-reranker-v2-base-multilingual",
        "query": QUERY,
        "top_n": 5,
        "documents": TEXTS,
        "return_documents": True,
    }
    results = (await post(service, "/v1/rerank", body))["results"]
    assert [each["index"] for each in results][:2] == [1, 2]
    assert results[0]["document"]["text"] == TEXTS[1]
    simple = await post(service, "/rerank", {"query": QUERY, "docs": TEXTS, "k": 2})
    assert [each["text"] for each in simple] == [TEXTS[1], TEXTS[2]]
    assert all(isinstance(each["score"], float) for each in simple)


async def test_langchain_community_jina(service):
    """langchain_community 0.4.2, ``JinaRerank``, whose address is fixed in its module."""
    body = {"query": QUERY, "documents": TEXTS, "top_n": 3, "model": "jina-reranker-v1-base-en"}
    assert [each["index"] for each in (await post(service, "/v1/rerank", body))["results"]] == [1, 2, 0]


async def test_dashscope_in_langchain_and_llama_index(service):
    """Both send what DashScope's SDK sends, with ``gte-rerank`` as the model."""
    body = {
        "model": "gte-rerank",
        "parameters": {"return_documents": False, "top_n": 2, "instruct": None},
        "input": {"query": QUERY, "documents": TEXTS},
    }
    answer = await post(service, "/api/v1/services/rerank/text-rerank/text-rerank", body)
    assert [each["index"] for each in answer["output"]["results"]] == [1, 2]
    assert answer["output"]["results"][0]["relevance_score"] > 0
    assert {"usage", "request_id"} <= answer.keys()


async def test_openai_node_and_ai_sdk_embeddings(service):
    """openai (node) 6.49.0 asks for base64, @ai-sdk/openai-compatible 2.0.92 for floats."""
    body = {"model": "any", "input": ["hi"]}
    plain = (await post(service, "/v1/embeddings", body | {"encoding_format": "float"}))["data"]
    coded = (await post(service, "/v1/embeddings", body | {"encoding_format": "base64"}))["data"]
    raw = base64.b64decode(coded[0]["embedding"])
    assert struct.unpack(f"<{len(raw) // 4}f", raw) == pytest.approx(plain[0]["embedding"], abs=1e-6)


async def test_ogx_search(service):
    """OGX's benchmark: vector-store search with ``ranking_options`` of its own rankers and hybrid weights."""
    await service.fill("docs", [{"id": str(i), "text": text} for i, text in enumerate(TEXTS)])
    ranking = {
        "ranker": "weighted",
        "score_threshold": 0.0,
        "hybrid_search": {"embedding_weight": 0.7, "text_weight": 0.3},
    }
    body = {"query": QUERY, "max_num_results": 10, "ranking_options": ranking, "search_mode": "hybrid"}
    path = "/v1/vector_stores/docs/search"
    data = (await post(service, path, body, **{"openai-beta": "assistants=v2"}))["data"]
    assert data[0]["file_id"] == "1"
    assert {"file_id", "filename", "score", "attributes", "content"} <= data[0].keys()
    assert data[0]["content"][0]["type"] == "text"
