"""Requests of applications that cannot run here, as they were recorded or as their source sends them, over the wire.

Clients that are Python or Node packages are called themselves (``test_model_clients``, ``test_store_clients``,
``test_mcp``); Dify is in ``test_dify``.
"""

from __future__ import annotations

from typing import Any

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


async def test_libre_chat_simple(service):
    """LibreChat's ``simple`` reranker, of a version between those of its package that are called themselves."""
    simple = await post(service, "/rerank", {"query": QUERY, "docs": TEXTS, "k": 2})
    assert [each["text"] for each in simple] == [TEXTS[1], TEXTS[2]]
    assert all(isinstance(each["score"], float) for each in simple)
