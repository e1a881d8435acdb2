"""A reranker's limits: what is too long is cut, what is too much is split, and no score ends at another document."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from aiohttp import web

from retrieval.errors import UpstreamRejected, UpstreamTooLong
from retrieval.models.prompts import RERANK_PREFIX, RERANK_SUFFIX
from retrieval.models.qwen_tokens import QwenTokens
from retrieval.models.rerank_packing import Item, Limits, Question, fit, pack, shorten
from retrieval.probes import NOWHERE
from retrieval.settings.rerank import DashScopeRerank, JinaRerank, VllmRerank, WrappedRerank
from tests.stubs.reranks import ClientTemplateStub, FlatStub, candidates, overlap, reranking

QWEN = QwenTokens()


def numbered(count: int, words: int = 3) -> list[str]:
    """Different documents, whose scores differ too."""
    return [f"apples {'x' * number}" + " pear" * words for number in range(count)]


def expected(query: str, texts: list[str]) -> np.ndarray:
    return np.array([overlap(query, text) for text in texts], dtype=np.float32)


async def test_500_documents_of_4000_tokens_are_split_and_put_together() -> None:
    texts = [f"{number} " + "pear plum fig " * 1330 for number in range(500)]
    texts[321] = "apples and pears"
    async with reranking(FlatStub(), DashScopeRerank) as (reranker, stub):
        answer = await reranker.rerank("apples and pears", NOWHERE, candidates(*texts))
    for body in stub.bodies:
        documents = sum(map(QWEN.count, body["documents"]))
        assert QWEN.count(body["query"]) * len(body["documents"]) + documents <= 120_000
    assert 17 <= len(stub.bodies) <= 19, "calls are as full as they may be"
    assert sum(len(body["documents"]) for body in stub.bodies) == 500
    np.testing.assert_allclose(answer.scores, expected("apples and pears", texts), rtol=1e-3)
    assert answer.scores.argmax() == 321


async def test_parts_keep_to_the_number_of_documents() -> None:
    texts = numbered(75)
    async with reranking(FlatStub(), VllmRerank) as (reranker, stub):
        answer = await reranker.rerank("apples", NOWHERE, candidates(*texts))
    assert sorted(len(body["documents"]) for body in stub.bodies) == [11, 32, 32]
    np.testing.assert_array_equal(answer.scores, expected("apples", texts))
    assert answer.tokens == sum(1 + len(text.split()) for text in texts), "of all parts"


@pytest.mark.parametrize(("most", "calls"), [(1, 59), (2, 40), (7, 11)])
async def test_a_part_that_is_refused_is_halved(most: int, calls: int) -> None:
    texts = numbered(30)
    async with reranking(FlatStub(most=most), VllmRerank) as (reranker, stub):
        answer = await reranker.rerank("apples", NOWHERE, candidates(*texts))
    np.testing.assert_array_equal(answer.scores, expected("apples", texts))
    assert len(stub.bodies) <= calls


async def test_a_document_that_is_refused_is_cut_until_it_is_taken() -> None:
    texts = ["apples " * 1000, "apples", "pears and apples"]
    async with reranking(FlatStub(longest=900), VllmRerank) as (reranker, stub):
        answer = await reranker.rerank("apples", NOWHERE, candidates(*texts))
    assert (answer.scores > 0).all()
    longest = max((body["documents"][0] for body in stub.bodies if len(body["documents"][0]) <= 900), key=len)
    assert len(longest) > 600, "to no less than need be"
    assert texts[0].startswith(longest)


async def test_tries_to_cut_come_to_an_end() -> None:
    async with reranking(FlatStub(longest=0), VllmRerank) as (reranker, stub):
        with pytest.raises(UpstreamTooLong):
            await reranker.rerank("apples", NOWHERE, candidates("apples " * 5000))
    assert len(stub.calls) < 20


@pytest.mark.parametrize("template", ["server", "client"])
async def test_a_prompt_is_cut_at_the_end_of_its_document_only(template: str) -> None:
    server = ClientTemplateStub() if template == "client" else FlatStub()
    text = "长江是中国最长的河流。The Yangtze is long. " * 400
    async with reranking(server, VllmRerank, template=template, max_tokens=512) as (reranker, stub):
        await reranker.rerank("How long is the Yangtze?", NOWHERE, candidates(text, "Short."))
    body = stub.bodies[0]
    document = body["documents"][0]
    if template == "client":
        assert body["query"].startswith(RERANK_PREFIX)
        assert document.endswith(RERANK_SUFFIX)
        document = document.removeprefix("<Document>: ").removesuffix(RERANK_SUFFIX)
    assert text.startswith(document)
    said = QWEN.count(body.get("instruction", "Given a web search query, retrieve relevant passages"))
    assert 400 <= QWEN.count(document) + said <= 512 - 59


async def test_a_long_query_is_cut_to_its_own_limit() -> None:
    query = "apples and pears " * 3000
    async with reranking(FlatStub("output"), WrappedRerank, max_tokens=8000) as (reranker, stub):
        await reranker.rerank(query, NOWHERE, candidates("apples"))
    assert QWEN.count(stub.bodies[0]["query"]) == 4000
    assert query.startswith(stub.bodies[0]["query"])


async def test_a_long_query_leaves_room_for_documents() -> None:
    async with reranking(FlatStub(), VllmRerank, max_tokens=512) as (reranker, stub):
        await reranker.rerank("apples " * 3000, NOWHERE, candidates("pears " * 3000))
    document = QWEN.count(stub.bodies[0]["documents"][0])
    assert document > 150
    assert document + QWEN.count(stub.bodies[0]["query"]) <= 512 - 59


async def test_a_listwise_model_gets_all_in_one_call_or_none() -> None:
    async with reranking(FlatStub(), JinaRerank, model="jina-reranker-v3") as (reranker, stub):
        await reranker.rerank("apples", NOWHERE, candidates(*numbered(64)))
        with pytest.raises(UpstreamRejected, match="RERANK_TOP_K to 64"):
            await reranker.rerank("apples", NOWHERE, candidates(*numbered(65)))
    assert len(stub.bodies) == 1


async def test_no_more_parts_are_under_way_than_connections() -> None:
    under_way, most = 0, 0
    full = asyncio.Event()
    flat = FlatStub()

    async def count(request: web.Request) -> web.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 2:
            full.set()
        await full.wait()
        under_way -= 1
        return await flat(request)

    async with reranking(count, VllmRerank, connections=2, max_documents=1) as (reranker, _):
        await reranker.rerank("apples", NOWHERE, candidates(*numbered(6)))
    assert most == 2


def test_a_query_counts_once_for_each_document() -> None:
    limits = Limits(4000, 500, together=False, request_tokens=3 * (200 + 1 + 75))
    question, fitted = fit("red " * 200, "", [Item(number, "red") for number in range(9)], limits, QWEN)
    query = QWEN.count(question.query)
    assert query >= 200
    for part in pack(question, fitted, limits):
        assert len(part) * (query + 1) <= 3 * (200 + 1 + 75)
        assert len(part) <= 3


def test_a_query_that_is_longer_than_its_documents_is_shortened() -> None:
    shorter = shorten(Question("red " * 100, "", 101), [Item(0, "red plums")], QWEN)
    assert shorter is not None
    question, items = shorter
    assert question.tokens == QWEN.count(question.query) == int(QWEN.count("red " * 100) * 0.75)
    assert [item.text for item in items] == ["red plums"]


def test_near_the_limit_tokens_are_counted_and_not_bytes() -> None:
    text = "red plums and green pears " * 20
    items = [Item(number, text) for number in range(10)]
    limits = Limits(4000, 500, together=False, request_tokens=10 * (1 + QWEN.count(text) + 75))
    question, fitted = fit("red", "", items, limits, QWEN)
    assert [len(part) for part in pack(question, fitted, limits)] == [10]


def test_a_document_over_the_limit_of_a_call_goes_alone() -> None:
    limits = Limits(4000, 500, together=False, request_tokens=100)
    question, fitted = fit("red", "", [Item(number, "apples " * 90) for number in range(2)], limits, QWEN)
    assert [len(part) for part in pack(question, fitted, limits)] == [1, 1]
