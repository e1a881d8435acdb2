"""What a reranker does when its server is wrong, gone or slow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from retrieval.errors import UpstreamRejected, UpstreamUnavailable
from retrieval.models.http_reranker import HttpReranker
from retrieval.ports import Remote
from retrieval.probes import NOWHERE
from retrieval.settings.rerank import (
    CohereRerank,
    DashScopeNativeRerank,
    DashScopeRerank,
    HttpRerank,
    JinaRerank,
    TeiRerank,
    VllmRerank,
)
from tests.stubs.calls import no_waits
from tests.stubs.embeddings import never
from tests.stubs.reranks import FlatStub, candidates, reranking
from tests.stubs.server import Handler, reply

__all__ = ["no_waits"]

TEXTS = candidates("apples", "pears", "plums")


def always(body: Any, status: int = 200) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return reply(body, status)

    return answer


def results(*scores: float) -> dict[str, Any]:
    return {"results": [{"index": index, "relevance_score": score} for index, score in enumerate(scores)]}


@pytest.mark.parametrize(
    "answer", [results(0.1, 0.2), results(0.1, 0.2, 4.5), results(0.1, 0.2, -0.4), {}, [], None, {"results": None}]
)
async def test_nonsense_is_refused_with_the_providers_name_and_address(answer: Any) -> None:
    async with reranking(always(answer), JinaRerank) as (reranker, stub):
        with pytest.raises(UpstreamRejected, match=f"jina at {stub.url}"):
            await reranker.rerank("apples", NOWHERE, TEXTS)


async def test_a_server_that_finds_everything_alike_is_not_believed() -> None:
    async with reranking(always(results(0.5, 0.5, 0.5)), VllmRerank) as (reranker, _):
        with pytest.raises(UpstreamRejected, match=r"embedder.*chat template"):
            await reranker.rerank("apples", NOWHERE, TEXTS)


async def test_two_documents_or_the_same_one_may_be_alike() -> None:
    async with reranking(always(results(0.5, 0.5)), VllmRerank) as (reranker, _):
        assert (await reranker.rerank("apples", NOWHERE, TEXTS[:2])).scores.tolist() == [0.5, 0.5]
    async with reranking(always(results(0.5, 0.5, 0.5)), VllmRerank) as (reranker, _):
        same = candidates("apples", "apples", "apples")
        assert (await reranker.rerank("apples", NOWHERE, same)).scores.tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (401, {"code": "InvalidApiKey", "message": "Invalid API-key provided."}, UpstreamRejected, "WINNOW_RERANK__"),
        (404, {"detail": "Not Found"}, UpstreamRejected, "WINNOW_RERANK__PATH"),
        (503, {"error": {"message": "overloaded"}}, UpstreamUnavailable, "503"),
    ],
)
@pytest.mark.usefixtures("no_waits")
async def test_refusals_name_the_remedy(status: int, body: Any, error: type[Exception], message: str) -> None:
    async with reranking(always(body, status), DashScopeRerank) as (reranker, _):
        with pytest.raises(error, match=message):
            await reranker.rerank("apples", NOWHERE, TEXTS)


async def test_one_failed_part_fails_the_call() -> None:
    flat = FlatStub()

    async def third(request: web.Request) -> web.Response:
        body = await request.json()
        return reply({"message": "no"}, 400) if body["documents"] == ["plums"] else await flat(request)

    async with reranking(third, VllmRerank, max_documents=1) as (reranker, _):
        with pytest.raises(UpstreamRejected, match="400"):
            await reranker.rerank("apples", NOWHERE, TEXTS)


async def test_a_cancelled_call_ends_its_parts() -> None:
    started = asyncio.Event()
    ended = 0

    async def hang(request: web.Request) -> web.Response:
        nonlocal ended
        started.set()
        try:
            return await never(request)
        finally:
            ended += 1

    async with reranking(hang, VllmRerank, max_documents=1, connections=1) as (reranker, stub):
        call = asyncio.create_task(reranker.rerank("apples", NOWHERE, TEXTS))
        await started.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert len(stub.calls) == 1, "the parts that waited were not sent"
    assert ended == 1


@pytest.mark.parametrize("kind", [VllmRerank, TeiRerank])
async def test_a_server_of_ones_own_is_pinged(kind: type[HttpRerank]) -> None:
    async with reranking(FlatStub(), kind) as (reranker, stub):
        assert isinstance(reranker, Remote)
        await reranker.ping()
    assert [(call.method, call.path) for call in stub.calls] == [("GET", "/health")]
    async with reranking(always({}, 503), kind) as (reranker, _):
        with pytest.raises(UpstreamUnavailable, match="503"):
            await reranker.ping()


@pytest.mark.parametrize("kind", [DashScopeRerank, DashScopeNativeRerank, JinaRerank, CohereRerank])
async def test_a_provider_that_charges_is_neither_pinged_nor_examined(kind: type[HttpRerank]) -> None:
    async with reranking(FlatStub(), kind) as (reranker, stub):
        await reranker.ping()
        assert not await reranker.self_check()
    assert not stub.calls


async def test_a_vllm_server_is_examined() -> None:
    async with reranking(always({"detail": "Method Not Allowed"}, 405), VllmRerank) as (reranker, _):
        (finding,) = await reranker.self_check()
    assert (finding.check, finding.status) == ("a reranker", "failed")


def test_it_says_what_it_is() -> None:
    info = HttpReranker(TeiRerank()).info
    assert (info.provider, info.model) == ("tei", "tei")
