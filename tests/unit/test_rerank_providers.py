"""Rerankers among their providers' servers: limits as the servers count them, calls at the same time, and leaving.

The servers of ``rerank_servers`` count tokens in Qwen's vocabulary, and refuse what is over their documented limits.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from tests.stubs import rerank_servers as stubs
from tests.stubs.rerank_servers import TOKENS, count, fixed, relevance, reranking, scores_of
from tests.stubs.server import reply
from winnow.core.errors import UpstreamRejected, UpstreamTooLong
from winnow.core.settings.rerank import (
    DashScopeNativeRerank,
    DashScopeRerank,
    JinaRerank,
    TeiRerank,
    VllmRerank,
)
from winnow.models.prompts import RERANK_SUFFIX

QUERY = "how long is the Yangtze"
LONG = "The river Yangtze is 6,300 km long. 长江是中国最长的河流，全长约六千三百公里。"


def row(index: int, score: float) -> dict[str, Any]:
    return {"index": index, "relevance_score": score}


def alike(count: int) -> dict[str, Any]:
    return {"results": [row(index, 0.5) for index in range(count)]}


def documents(count: int, tokens: int) -> list[str]:
    """Different texts of so many tokens, of which every fiftieth answers the query."""
    filler = LONG.replace("Yangtze", "Danube") * (tokens // 20)
    starts = [f"{number} {QUERY if number % 50 == 7 else ''}: " for number in range(count)]
    return [TOKENS.beginning(start + filler, tokens)[0] for start in starts]


async def test_a_query_is_counted_once_for_each_document() -> None:
    query = TOKENS.beginning(LONG * 200, 3900)[0]
    async with reranking(stubs.NativeStub(), DashScopeNativeRerank) as (reranker, stub):
        await scores_of(reranker, query, documents(20, 100))
    assert sorted(len(body["input"]["documents"]) for body in stub.bodies) == [6, 7, 7]


async def test_queries_and_documents_are_cut_at_their_ends_to_what_an_item_may_have() -> None:
    async with reranking(stubs.DashScopeStub(), DashScopeRerank) as (reranker, stub):
        await scores_of(reranker, LONG * 500, [LONG * 500, "short"])
    (body,) = stub.bodies
    for text in (body["query"], body["documents"][0]):
        assert (LONG * 500).startswith(text)
        assert 3990 <= count(text) <= 4001
    assert body["documents"][1] == "short"


@pytest.mark.parametrize("template", ["server", "client"])
@pytest.mark.parametrize("query", [QUERY, LONG * 300])
@pytest.mark.parametrize("instruct", ["", "Judge", LONG * 300], ids=len)
async def test_a_whole_prompt_fits_and_only_query_and_document_are_cut(
    template: str, query: str, instruct: str
) -> None:
    server = stubs.VllmStub(templated=template == "server", max_model_len=1024)
    async with reranking(server, VllmRerank, template=template, max_tokens=1024) as (reranker, stub):
        await scores_of(reranker, query, [LONG * 300, "short"], instruct)
    assert len(stub.calls) == 1, "nothing was refused"
    assert all(prompt.endswith(RERANK_SUFFIX) for prompt in server.prompts)
    longest = max(map(stubs.tokens_of_prompt, server.prompts))
    assert 1024 - 32 <= longest <= 1024


async def test_a_document_of_nothing_but_rare_characters_is_cut_to_whole_ones() -> None:
    server = stubs.VllmStub(max_model_len=512)
    async with reranking(server, VllmRerank, max_tokens=512) as (reranker, stub):
        await scores_of(reranker, QUERY, ["🦄𠮷༄" * 600, "short"])
    assert len(stub.calls) == 1
    assert "\ufffd" not in "".join(server.prompts)


async def test_a_call_that_is_refused_as_too_long_is_halved() -> None:
    texts = documents(16, 60)
    async with reranking(stubs.DashScopeStub(max_request=300), DashScopeRerank) as (reranker, stub):
        scores = await scores_of(reranker, QUERY, texts)
    np.testing.assert_allclose(scores, [relevance(QUERY, text) for text in texts], atol=1e-6)
    assert sorted(len(body["documents"]) for body in stub.bodies) == [4] * 4 + [8] * 2 + [16]


async def test_a_single_document_is_cut_until_the_server_takes_it(caplog: pytest.LogCaptureFixture) -> None:
    server = stubs.VllmStub(max_model_len=300)
    async with reranking(server, VllmRerank) as (reranker, _):
        scores = await scores_of(reranker, QUERY, ["short", LONG * 40, "other"])
    assert scores.min() > 0
    assert all(prompt.endswith(RERANK_SUFFIX) for prompt in server.prompts)
    assert max(map(stubs.tokens_of_prompt, server.prompts)) > 200, "no more than need be"
    assert "WINNOW_RERANK__MAX_TOKENS" in caplog.text


async def test_a_query_that_is_too_long_for_the_server_is_cut_too() -> None:
    async with reranking(stubs.VllmStub(max_model_len=300), VllmRerank) as (reranker, _):
        assert (await scores_of(reranker, LONG * 40, ["short", "other"])).min() > 0


async def test_a_server_that_refuses_everything_as_too_long_is_not_asked_for_ever() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return reply({"error": {"message": "maximum context length is 1 tokens", "param": "input_tokens"}}, 400)

    async with reranking(refuse, VllmRerank) as (reranker, stub):
        with pytest.raises(UpstreamTooLong, match="vllm at http"):
            await scores_of(reranker, QUERY, documents(4, 400))
    assert len(stub.calls) < 60


async def test_one_refused_for_another_reason_is_not_halved() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return reply({"code": "DataInspectionFailed", "message": "text"}, 400)

    async with reranking(refuse, DashScopeRerank) as (reranker, stub):
        with pytest.raises(UpstreamRejected):
            await scores_of(reranker, QUERY, ["a", "b"])
    assert len(stub.calls) == 1


async def test_a_listwise_model_that_refuses_gets_all_documents_shorter() -> None:
    @staticmethod
    async def handler(request: web.Request) -> web.Response:
        body = await request.json()
        if sum(map(count, body["documents"])) > 300:
            return reply({"detail": "maximum context length exceeded: too many tokens"}, 400)
        return reply({"results": [{"index": index, "relevance_score": index / 9 - 0.5} for index in range(8)]})

    async with reranking(handler, JinaRerank, model="jina-reranker-v3") as (reranker, stub):
        await scores_of(reranker, QUERY, documents(8, 60))
    assert {len(body["documents"]) for body in stub.bodies} == {8}


class Gate:
    """Answers nothing until it is opened; knows how many calls were there at once."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.here = self.most = self.left = 0
        self.changed = asyncio.Condition()

    async def __call__(self, request: web.Request) -> web.Response:
        self.here += 1
        self.most = max(self.most, self.here)
        await self._tell()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.left += 1
            await asyncio.shield(self._tell())
            raise
        self.here -= 1
        body = await request.json()
        return reply(
            {"results": [{"index": i, "relevance_score": (i + 1) / 99} for i, _ in enumerate(body["documents"])]}
        )

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, condition: Any) -> None:
        async with self.changed:
            await self.changed.wait_for(condition)


async def test_waiting_for_a_connection_does_not_use_up_the_patience_with_an_answer() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.1)
        return reply({"results": [{"index": 0, "relevance_score": next(scores)}]})

    scores = itertools.count(0.1, 0.01)
    async with reranking(slow, VllmRerank, max_documents=1, connections=1, timeout_seconds=0.5) as (reranker, stub):
        await scores_of(reranker, QUERY, [str(number) for number in range(10)])
    assert len(stub.calls) == 10


async def test_a_cancelled_search_leaves_no_call_behind() -> None:
    gate = Gate()
    async with reranking(gate, VllmRerank, max_documents=2, connections=3) as (reranker, stub):
        task = asyncio.create_task(scores_of(reranker, QUERY, [str(number) for number in range(20)]))
        await gate.until(lambda: gate.here == 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gate.until(lambda: gate.left == 3)
        gate.open.set()
        await scores_of(reranker, QUERY, ["a", "b"])
    assert len(stub.calls) == 4


async def test_calls_do_not_hide_from_each_other_that_all_are_alike() -> None:
    async with reranking(fixed(alike(1)), VllmRerank, max_documents=1) as (reranker, _):
        with pytest.raises(UpstreamRejected, match="same score"):
            await scores_of(reranker, "q", ["a", "b", "c"])


async def test_blank_documents_score_nothing_and_are_not_sent() -> None:
    async with reranking(fixed({"results": [row(1, 0.25), row(0, 0.75)]}), DashScopeRerank) as (reranker, stub):
        scores = await scores_of(reranker, "q", ["", "a", " \n", "b"])
    assert scores.tolist() == [0.0, 0.75, 0.0, 0.25]
    assert stub.bodies[0]["documents"] == ["a", "b"]


@pytest.mark.parametrize(("query", "texts"), [(" ", ["a"]), ("q", ["", "\t"]), ("q", [])])
async def test_without_anything_to_read_there_is_no_call(query: str, texts: list[str]) -> None:
    async with reranking(fixed({}), TeiRerank) as (reranker, stub):
        assert (await scores_of(reranker, query, texts)).tolist() == [0.0] * len(texts)
    assert not stub.calls


async def test_half_a_surrogate_pair_is_sent_as_a_replacement() -> None:
    async with reranking(fixed({"results": [row(0, 0.5)]}), JinaRerank) as (reranker, stub):
        await scores_of(reranker, "q\ud83d", ["\ude00 a"])
    assert (stub.bodies[0]["query"], stub.bodies[0]["documents"]) == ("q\ufffd", ["\ufffd a"])
