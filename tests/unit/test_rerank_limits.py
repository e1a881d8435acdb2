"""A reranker's limits: what is too long is cut, what is too much is split, and no score ends at another document."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from aiohttp import web

from tests.stubs.rerank_servers import (
    KEY,
    TOKENS,
    CohereStub,
    DashScopeStub,
    JinaListwiseStub,
    TeiStub,
    VllmStub,
    WrappedStub,
    relevance,
    reranking,
    scores_of,
)
from tests.stubs.server import serve
from winnow.core.errors import UpstreamRejected, UpstreamTooLong
from winnow.core.settings.rerank import (
    CohereRerank,
    DashScopeRerank,
    JinaRerank,
    TeiRerank,
    VllmRerank,
    WrappedRerank,
)
from winnow.models.http.rerank import HttpReranker
from winnow.models.http.rerank_packing import Limits, RerankItem, RerankQuestion, even_calls, fit, full_calls, shorten
from winnow.models.prompts import RERANK_PREFIX, RERANK_SUFFIX
from winnow.models.qwen_tokens import RememberedTokens
from winnow.ports import EmbeddedQuery
from winnow.ports.checks import passages_of


def numbered(count: int, words: int = 3) -> list[str]:
    """Different documents, whose scores differ too."""
    return [f"apples {'x' * number}" + " pear" * words for number in range(count)]


def expected(query: str, texts: list[str]) -> np.ndarray:
    return np.array([relevance(query, text) for text in texts], dtype=np.float32)


async def test_500_documents_of_4000_tokens_are_split_and_put_together() -> None:
    texts = [f"{number} " + "pear plum fig " * 1330 for number in range(500)]
    texts[321] = "apples and pears"
    async with reranking(DashScopeStub(), DashScopeRerank) as (reranker, stub):
        scores = await scores_of(reranker, "apples and pears", texts)
    assert 17 <= len(stub.bodies) <= 19, "nothing was refused, and calls are as full as they may be"
    assert sum(len(body["documents"]) for body in stub.bodies) == 500
    assert scores.argmax() == 321

    assert all(TOKENS.count(text) <= 4000 for body in stub.bodies for text in body["documents"])


async def test_parts_keep_to_the_number_of_documents() -> None:
    texts = numbered(75)
    async with reranking(DashScopeStub(), DashScopeRerank, max_documents=32) as (reranker, stub):
        answer = await reranker.rerank(EmbeddedQuery("apples"), passages_of(texts))
    assert len(stub.bodies) == 3
    assert all(len(body["documents"]) <= 32 for body in stub.bodies)
    np.testing.assert_array_equal(answer.scores, expected("apples", texts))
    assert answer.tokens == sum(map(TOKENS.count, ["apples"] * 75 + texts)), "of all parts"


@pytest.mark.parametrize(("most", "calls"), [(1, 59), (2, 40), (7, 11)])
async def test_a_part_that_is_refused_is_halved(most: int, calls: int) -> None:
    texts = numbered(30)
    async with reranking(TeiStub(max_batch=most), TeiRerank) as (reranker, stub):
        scores = await scores_of(reranker, "apples", texts)
    np.testing.assert_array_equal(scores, expected("apples", texts))
    assert len(stub.bodies) <= calls


async def test_the_size_that_was_taken_is_remembered() -> None:
    texts = numbered(30)
    async with reranking(TeiStub(max_batch=8), TeiRerank) as (reranker, stub):
        await scores_of(reranker, "apples", texts)
        first = len(stub.bodies)
        np.testing.assert_array_equal(await scores_of(reranker, "apples", texts), expected("apples", texts))
    assert sorted(len(body["texts"]) for body in stub.bodies[first:]) == [7, 7, 8, 8]


async def test_one_long_document_makes_no_call_smaller() -> None:
    texts = [*numbered(7), "pear " * 2000]
    async with reranking(VllmStub(max_model_len=512), VllmRerank) as (reranker, stub):
        for _ in range(2):
            await scores_of(reranker, "apples", texts)
    assert [len(body["documents"]) for body in stub.bodies].count(8) == 2


async def test_tries_to_cut_come_to_an_end() -> None:
    async with reranking(VllmStub(max_model_len=59), VllmRerank) as (reranker, stub):
        with pytest.raises(UpstreamTooLong):
            await scores_of(reranker, "apples", ["apples " * 5000])
    assert len(stub.calls) < 20


@pytest.mark.parametrize("template", ["server", "client"])
async def test_a_prompt_is_cut_at_the_end_of_its_document_only(template: str) -> None:
    server = VllmStub(templated=template == "server")
    text = "长江是中国最长的河流。The Yangtze is long. " * 400
    async with reranking(server, VllmRerank, template=template, max_tokens=512) as (reranker, stub):
        await scores_of(reranker, "How long is the Yangtze?", [text, "Short."])
    body = stub.bodies[0]
    document = body["documents"][0]
    if template == "client":
        assert body["query"].startswith(RERANK_PREFIX)
        assert document.endswith(RERANK_SUFFIX)
        document = document.removeprefix("<Document>: ").removesuffix(RERANK_SUFFIX)
    assert text.startswith(document)
    said = TOKENS.count(body.get("instruction", "Given a web search query, retrieve relevant passages"))
    assert 400 <= TOKENS.count(document) + said <= 512 - 59


async def test_a_long_query_is_cut_to_its_own_limit() -> None:
    query = "apples and pears " * 3000
    async with reranking(WrappedStub(), WrappedRerank, max_tokens=8000) as (reranker, stub):
        await scores_of(reranker, query, ["apples"])
    assert TOKENS.count(stub.bodies[0]["query"]) == 4000
    assert query.startswith(stub.bodies[0]["query"])


async def test_cohere_gets_queries_of_its_size_however_much_its_model_reads() -> None:
    settings = {"model": "rerank-v4.0-pro", "max_tokens": 32_768}
    async with reranking(CohereStub(model="rerank-v4.0-pro"), CohereRerank, **settings) as (reranker, stub):
        await scores_of(reranker, "apples and pears " * 3000, ["pears " * 10_000])
    (body,) = stub.bodies
    assert TOKENS.count(body["query"]) == 2048
    assert body["documents"] == ["pears " * 10_000]
    assert body["max_tokens_per_doc"] == 32_768


async def test_what_is_too_long_by_teis_own_tokens_is_left_to_tei() -> None:
    async with reranking(TeiStub(max_tokens=20), TeiRerank) as (reranker, stub):
        scores = await scores_of(reranker, "apples", ["apples " + "pears " * 100, "plums"])
    assert len(stub.calls) == 1, "it cuts texts itself, where it would refuse them all"
    assert stub.bodies[0]["truncate"] is True
    assert scores[0] > scores[1]


async def test_a_long_query_leaves_room_for_documents() -> None:
    async with reranking(VllmStub(), VllmRerank, max_tokens=512) as (reranker, stub):
        await scores_of(reranker, "apples " * 3000, ["pears " * 3000])
    document = TOKENS.count(stub.bodies[0]["documents"][0])
    assert document > 150
    assert document + TOKENS.count(stub.bodies[0]["query"]) <= 512 - 59


async def test_a_listwise_model_gets_all_in_one_call_or_none() -> None:
    async with reranking(JinaListwiseStub(), JinaRerank, model="jina-reranker-v3") as (reranker, stub):
        await scores_of(reranker, "apples", numbered(64))
        with pytest.raises(UpstreamRejected, match="RERANK_TOP_K to 64"):
            await scores_of(reranker, "apples", numbered(65))
    assert len(stub.bodies) == 1


async def test_no_more_parts_are_under_way_than_connections() -> None:
    under_way, most = 0, 0
    full = asyncio.Event()
    server = VllmStub()

    async def count(request: web.Request) -> web.StreamResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 2:
            full.set()
        await full.wait()
        under_way -= 1
        return await server(request)

    async with reranking(count, VllmRerank, connections=2, max_documents=1) as (reranker, _):
        await scores_of(reranker, "apples", numbered(6))
    assert most == 2


def test_a_query_counts_once_for_each_document() -> None:
    limits = Limits(4000, 500, together=False, request_tokens=3 * (200 + 1 + 75))
    question, fitted = fit("red " * 200, "", [RerankItem(number, "red") for number in range(9)], limits, TOKENS)
    query = TOKENS.count(question.query)
    assert query >= 200
    for part in full_calls(question, fitted, limits):
        assert len(part) * (query + 1) <= 3 * (200 + 1 + 75)
        assert len(part) <= 3


def test_a_query_that_is_longer_than_its_documents_is_shortened() -> None:
    shorter = shorten(RerankQuestion("red " * 100, "", 101), [RerankItem(0, "red plums")], TOKENS)
    assert shorter is not None
    question, items = shorter
    assert question.tokens == TOKENS.count(question.query) == int(TOKENS.count("red " * 100) * 0.75)
    assert [item.text for item in items] == ["red plums"]


def test_near_the_limit_tokens_are_counted_and_not_bytes() -> None:
    text = "red plums and green pears " * 20
    items = [RerankItem(number, text) for number in range(10)]
    limits = Limits(4000, 500, together=False, request_tokens=10 * (1 + TOKENS.count(text) + 75))
    question, fitted = fit("red", "", items, limits, TOKENS)
    assert [len(part) for part in full_calls(question, fitted, limits)] == [10]


def test_a_document_over_the_limit_of_a_call_goes_alone() -> None:
    limits = Limits(4000, 500, together=False, request_tokens=100)
    question, fitted = fit("red", "", [RerankItem(number, "apples " * 90) for number in range(2)], limits, TOKENS)
    assert [len(part) for part in full_calls(question, fitted, limits)] == [1, 1]


@pytest.mark.parametrize(("documents", "servers", "calls"), [(50, 1, 1), (50, 2, 2), (50, 3, 3), (10, 3, 2), (3, 2, 1)])
def test_servers_share_the_documents_of_a_call(documents: int, servers: int, calls: int) -> None:
    items = [RerankItem(number, "x", tokens=100 + 3 * number) for number in range(documents)]
    parts = even_calls(RerankQuestion("red", "", 3), items, Limits(4000, 500), servers=servers)
    assert len(parts) == calls
    assert [item for part in parts for item in part] == items
    loads = [sum(item.tokens + 78 for item in part) for part in parts]  # with the query and the prompt around each
    assert max(loads) - min(loads) <= max(item.tokens + 78 for item in items)


def test_where_even_parts_do_not_fit_they_are_filled() -> None:
    items = [RerankItem(number, "x", tokens=tokens) for number, tokens in enumerate([1, 1, 1, 900, 900, 900, 900])]
    parts = even_calls(RerankQuestion("red", "", 3), items, Limits(4000, 3))
    assert [len(part) for part in parts] == [3, 3, 1]


async def test_two_servers_score_half_each() -> None:
    texts = numbered(40)
    async with serve(VllmStub()) as one, serve(VllmStub()) as two:
        reranker = HttpReranker(VllmRerank(url=f"{one.url},{two.url}", api_key=KEY))
        scores = await scores_of(reranker, "apples", texts)
        await reranker.close()
    assert [len(stub.bodies) for stub in (one, two)] == [1, 1]
    np.testing.assert_array_equal(scores, expected("apples", texts))


def test_a_chunk_is_tokenised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, read = RememberedTokens(), []
    plain = RememberedTokens._tokens
    monkeypatch.setattr(RememberedTokens, "_tokens", lambda self, text: read.append(text) or plain(self, text))
    text = "red plums and green pears " * 20
    items = [RerankItem(number, f"{number} {text}") for number in range(10)]
    limits = Limits(4000, 500, together=False, request_tokens=1000)
    first = fit("red", "Judge it", items, limits, tokens)
    assert len(read) == 12
    assert fit("red", "Judge it", items, limits, tokens) == first
    assert len(read) == 12
