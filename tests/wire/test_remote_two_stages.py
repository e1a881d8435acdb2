"""Two-stage search with both models behind HTTP: documents in through the API, results out with the provider's scores.

The servers are stubs that answer as DashScope's pages say. The client of the models, the service and everything
between them is real.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from tests.conftest import FAKES, Service
from tests.stubs import embeddings
from tests.stubs import rerank_servers as reranks
from tests.stubs.embeddings import DIMENSIONS, never
from tests.stubs.server import Handler, Stub, reply, serve
from winnow.core.settings import load_settings

KEY = reranks.KEY
DOCUMENTS = [
    {"id": "copy", "text": "copy a file and keep its timestamps"},
    {"id": "move", "text": "move a file to another place"},
    {"id": "remove", "text": "remove a file for good"},
    {"id": "sonnet", "text": "fourteen lines with rhymes at their ends"},
]
QUERY = "copy a file and keep its timestamps"


def by_path(embedding: Handler, rerank: Handler) -> Handler:
    """One server for both stages, as DashScope is."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return await (rerank if "rerank" in request.path else embedding)(request)

    return handler


@asynccontextmanager
async def running(
    folder: Path, embedding: Handler, rerank: Handler, groups: dict[str, dict[str, Any]] | None = None
) -> AsyncIterator[tuple[Service, Stub]]:
    """The service over a stub; ``groups`` are settings on top of those for DashScope."""
    groups = groups or {}
    async with serve(by_path(embedding, rerank)) as stub:
        dashscope = {"provider": "dashscope", "url": stub.url, "api_key": KEY}
        chosen = FAKES | {
            "embedding": dashscope | {"dimensions": DIMENSIONS} | groups.get("embedding", {}),
            "rerank": dashscope | groups.get("rerank", {}),
        }
        service = Service(load_settings(data_dir=folder, **chosen))
        try:
            yield service, stub
        finally:
            await service.close()
            assert service.resources.reranker is not None
            await service.resources.reranker.close()


async def search(service: Service, **changes: Any) -> dict[str, Any]:
    body = {"query": QUERY, "mode": "hybrid", "budget_ms": 30_000} | changes
    response = await service.client.post("/v1/collections/docs/search", json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


CASES = [
    pytest.param(embeddings.DashScopeStub(key=KEY), reranks.DashScopeStub(), {}, id="compatible"),
    pytest.param(
        embeddings.DashScopeNativeStub(key=KEY),
        reranks.NativeStub(),
        {"embedding": {"api": "native"}, "rerank": {"provider": "dashscope-native"}},
        id="native",
    ),
]


@pytest.mark.parametrize(("embedding", "rerank", "groups"), CASES)
async def test_results_carry_the_providers_scores(
    tmp_path: Path, embedding: Handler, rerank: reranks.RerankStub, groups: dict[str, Any]
) -> None:
    async with running(tmp_path, embedding, rerank, groups) as (service, stub):
        await service.fill("docs", DOCUMENTS)
        stub.calls.clear()
        answer = await search(service)
    results, stages = answer["results"], answer["stages"]
    assert (answer["score_kind"], answer["degraded"]) == ("relevance", False)
    assert results[0]["document_id"] == "copy"
    texts = {document["id"]: document["text"] for document in DOCUMENTS}
    scores = [result["relevance_score"] for result in results]
    assert scores == sorted(scores, reverse=True)
    given = [reranks.relevance(QUERY, texts[result["document_id"]]) for result in results]
    assert np.allclose(scores, given, atol=1e-6)
    assert all(result["retrieval_score"] is not None for result in results)
    assert [call.path.rpartition("/")[2] for call in stub.calls][-1] in {"reranks", "text-rerank"}
    assert (stages["embed"]["status"], stages["embed"]["model"]) == ("ok", "text-embedding-v4")
    assert (stages["rerank"]["provider"], stages["rerank"]["model"]) == (
        groups.get("rerank", {}).get("provider", "dashscope"),
        rerank.model,
    )
    counted = reranks.count(QUERY) * len(results) + sum(reranks.count(texts[each["document_id"]]) for each in results)
    assert stages["rerank"]["tokens"] == counted


async def test_reranker_that_hangs_is_given_up_when_the_budget_ends(tmp_path: Path) -> None:
    async with running(tmp_path, embeddings.DashScopeStub(key=KEY), never) as (service, _):
        await service.fill("docs", DOCUMENTS)
        answer = await search(service, budget_ms=1500)
    assert (answer["degraded"], answer["score_kind"]) == (True, "retrieval")
    assert answer["stages"]["rerank"]["status"] == "timeout"
    assert answer["results"]


async def test_reranker_that_asks_for_a_moment_is_asked_again(tmp_path: Path) -> None:
    refusals = [
        reply({"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded"}, 429, Retry_After="0")
    ]
    good = reranks.DashScopeStub()

    async def busy_once(request: web.Request) -> web.StreamResponse:
        return refusals.pop() if refusals else await good(request)

    async with running(tmp_path, embeddings.DashScopeStub(key=KEY), busy_once) as (service, _):
        await service.fill("docs", DOCUMENTS)
        answer = await search(service)
    assert not refusals
    assert (answer["degraded"], answer["stages"]["rerank"]["status"]) == (False, "ok")


async def test_dead_models_leave_a_declared_keyword_answer_and_heal(tmp_path: Path) -> None:
    alive = {"now": True}

    def mortal(handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            return await handler(request) if alive["now"] else reply({"message": "down"}, 503)

        return answer

    embedding, rerank = mortal(embeddings.DashScopeStub(key=KEY)), mortal(reranks.DashScopeStub())
    async with running(tmp_path, embedding, rerank) as (service, _):
        await service.fill("docs", DOCUMENTS)
        alive["now"] = False
        dead = await search(service, budget_ms=3000, query="copy timestamps")
        alive["now"] = True
        while (healed := await search(service))["degraded"]:  # both are left alone for some seconds
            await asyncio.sleep(0.1)
    assert dead["degraded"] is True
    assert dead["results"][0]["document_id"] == "copy"
    assert dead["stages"]["embed"]["status"] != "ok"
    assert dead["stages"]["rerank"]["status"] != "ok"
    assert (healed["degraded"], healed["score_kind"]) == (False, "relevance")


def long_documents() -> list[dict[str, str]]:
    """500 texts of 3,900 to 4,000 tokens; what answers the query stands at their ends, in different measure."""
    words = QUERY.split()
    filler = reranks.TOKENS.beginning("Fifty rivers run to the sea. 长江是中国最长的河流。\n" * 400, 3930)[0]
    return [
        {"id": f"d{number:03}", "text": f"{number} {filler} {' '.join(words[: 1 + number % len(words)])}"}
        for number in range(500)
    ]


@pytest.mark.parametrize(
    ("provider", "rerank"),
    [("dashscope", reranks.DashScopeStub()), ("wrapped", reranks.WrappedStub())],
    ids=["dashscope", "wrapped"],
)
async def test_500_documents_of_4000_tokens_come_back_in_one_right_order(
    tmp_path: Path, provider: str, rerank: reranks.RerankStub
) -> None:
    """Two million tokens, and a query long enough to count. The stub takes no call that is over a documented limit."""
    documents, query = long_documents(), " ".join([QUERY] * 12)
    texts = {document["id"]: document["text"] for document in documents}
    refused: list[int] = []

    async def watched(request: web.Request) -> web.StreamResponse:
        answer = await rerank(request)
        refused.extend([answer.status] if answer.status != 200 else [])
        return answer

    embedding = embeddings.DashScopeStub(key=KEY, max_words=4000)
    async with running(tmp_path, embedding, watched, {"rerank": {"provider": provider}}) as (service, stub):
        await service.fill("docs", documents, chunking={"max_tokens": 4000, "overlap": 0})
        stub.calls.clear()
        answer = await search(service, query=query, top_k=500, rerank={"top_k": 500}, top_n=50)
    calls = [call.body for call in stub.calls if "rerank" in call.path]
    assert not refused
    assert sorted(text for call in calls for text in call["documents"]) == sorted(texts.values()), "whole, and once"
    assert not any("top_n" in call for call in calls), "a part of the documents has no best ones"
    assert answer["degraded"] is False
    given = [(result["document_id"], result["relevance_score"]) for result in answer["results"]]
    own = {name: reranks.relevance(query, text) for name, text in texts.items()}
    assert np.allclose([score for _, score in given], [own[name] for name, _ in given], atol=1e-6)
    assert np.allclose([score for _, score in given], sorted(own.values(), reverse=True)[:50], atol=1e-6)
