"""Paths that clients put together out of base addresses with a version too much, one too few, or a slash at the end."""

from __future__ import annotations

import gzip

import pytest

from service.client_paths import ClientPaths
from tests.conftest import Service

RERANK = {"query": "copy a file", "documents": ["a file"]}
NATIVE_RERANK = "/api/v1/services/rerank/text-rerank/text-rerank"


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/v1/embeddings", "/v1/embeddings"),
        ("/v2/v2/rerank", "/v2/rerank"),
        ("/v1/v2/rerank", "/v2/rerank"),
        ("//rerank", "/rerank"),
        ("/v1//rerank", "/v1/rerank"),
        ("/v1/rerank/", "/v1/rerank"),
        ("/embeddings", "/v1/embeddings"),
        ("/vector_stores/docs/search", "/v1/vector_stores/docs/search"),
        ("/v1//vector_stores/docs/files/http://a", "/v1/vector_stores/docs/files/http://a"),
        ("//mcp/", "/mcp"),
        ("//", "/"),
        # nothing of these is another protocol's
        ("/v1//keys", "/v1//keys"),
        ("/v2/v1/keys", "/v2/v1/keys"),
        ("/v1/collections/docs//documents", "/v1/collections/docs//documents"),
        ("/v1/collections/docs/documents/", "/v1/collections/docs/documents/"),
        ("/filesystem", "/filesystem"),
    ],
)
async def test_the_path_that_is_meant(service: Service, path: str, meant: str) -> None:
    (middleware,) = [each for each in service.app.user_middleware if each.cls is ClientPaths]
    assert ClientPaths(service.app, **middleware.kwargs).meant(path) == meant


async def test_clients_with_odd_base_addresses_are_answered(service: Service) -> None:
    for path in ("/v1/v1/rerank", "/v2//rerank", "//rerank/", "/v1/v2/rerank"):
        answer = await service.client.post(f"http://127.0.0.1{path}", json=RERANK)
        assert answer.status_code == 200, (path, answer.text)
    assert (await service.client.get("/models")).json()["data"]
    assert (await service.client.get("http://127.0.0.1//v1/keys")).status_code == 404
    created = await service.client.post("/v1/vector_stores/", json={"name": "docs"})
    assert created.json()["id"] == "docs"


@pytest.mark.parametrize(
    ("path", "message"), [("/v1/rerank", "message"), ("/v1/embeddings", "error"), (NATIVE_RERANK, "message")]
)
async def test_a_compressed_body_is_refused_by_name(service: Service, path: str, message: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = await service.client.post(path, content=gzip.compress(b"{}"), headers=headers)
    assert answer.status_code in (400, 415)
    assert "Content-Encoding 'gzip' is not supported" in str(answer.json()[message])
