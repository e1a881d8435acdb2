"""What a reranker does when its server is wrong, gone or slow."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest
from aiohttp import web

from tests.stubs.embeddings import never
from tests.stubs.rerank_servers import TeiStub, VllmStub, fixed, reranking, scores_of
from tests.stubs.server import Handler, reply
from tests.stubs.untrusted import MIB, Flood, raw
from winnow.core.errors import UpstreamRejected, UpstreamUnavailable
from winnow.core.settings.rerank import (
    CohereRerank,
    DashScopeNativeRerank,
    DashScopeRerank,
    HttpRerank,
    JinaRerank,
    TeiRerank,
    VllmRerank,
)
from winnow.models.http.rerank import HttpReranker
from winnow.ports import EmbeddedQuery, Remote
from winnow.ports.checks import passages_of

TEXTS = ["apples", "pears", "plums"]
FINE = {0: "0.1", 1: "0.2", 2: "0.3"}
# by what is wrong: pairs of index and score, as JSON, and what is said of them
ROWS: dict[str, tuple[list[tuple[Any, str]], str]] = {
    "an index out of range": ([*FINE.items(), (3, "0.4")], "index 3, 3 documents were sent"),
    "an index below 0": ([(-1, "0.4"), *FINE.items()], "index -1"),
    "an index repeated": ([*FINE.items(), (1, "0.2")], "two results have the index 1"),
    "an index in words": ([('"0"', "0.1")], "index '0'"),
    "no index": ([("null", "0.1")], "index None"),
    "a document missing": (
        list(FINE.items())[:2],
        "3 documents were sent, 2 results came back; the first missing is 2",
    ),
    "no documents": ([], "0 results came back"),
    "a score of NaN": ([(0, "NaN")], "not valid JSON"),
    "a score that is infinite": ([(0, "1e999")], "not valid JSON|outside"),
    "a score of null": ([(0, "null")], "score None"),
    "a score in words": ([(0, '"0.5"')], "score '0.5'"),
    "a score above 1": ([*list(FINE.items())[:2], (2, "4.5")], "4.5, outside"),
    "a score below 0": ([*list(FINE.items())[:2], (2, "-0.4")], "-0.4, outside"),
}
# by shape: how a result and the whole answer are written, and who reads it
SHAPES: dict[str, tuple[type[HttpRerank], str, str]] = {
    "flat": (DashScopeRerank, "relevance_score", '{"results": [%s]}'),
    "nested": (DashScopeNativeRerank, "relevance_score", '{"output": {"results": [%s]}, "usage": {}}'),
    "bare": (TeiRerank, "score", "[%s]"),
}
ANSWERS = {
    "HTML": ("<!doctype html><p>Welcome", "a web page"),
    "text": ("OK", "not valid JSON"),
    "nothing": ("", "not valid JSON"),
    "cut off": ('{"results": [{"index": 0, "relevance', "not valid JSON"),
    "null": ("null", "no list of results"),
    "a list of numbers where objects were expected": ("[0.1, 0.2, 0.3]", "no list of results"),
    "lists where objects were expected": ('{"results": [[0, 0.1], [1, 0.2], [2, 0.3]]}', "no list of results"),
    "an object where a list was expected": ('{"results": {"0": 0.1, "1": 0.2}}', "no list of results"),
    "a list where the output was expected": ('{"output": [{"results": []}]}', "no list of results"),
    "an error with status 200": ('{"error": {"message": "out of luck", "code": 7}}', "no list of results: out of luck"),
    "an error of two words with status 200": ('{"code": "x", "message": "out of luck"}', "out of luck"),
    "vectors": ('{"data": [{"index": 0, "embedding": [0.1]}]}', "no list of results"),
}


def always(body: Any, status: int = 200) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return reply(body, status)

    return answer


def results(*scores: float) -> dict[str, Any]:
    return {"results": [{"index": index, "relevance_score": score} for index, score in enumerate(scores)]}


def alike(*, canary: tuple[float, float]) -> Handler:
    """Scores all documents 0.5, and two with the scores in ``canary``."""

    async def answer(request: web.Request) -> web.Response:
        count = len((await request.json())["documents"])
        return reply(results(*canary) if count == 2 else results(*[0.5] * count))

    return answer


async def refusal_of(handler: Handler, kind: type[HttpRerank], calls: int = 1, **settings: Any) -> str:
    """What is said of a server that is not believed: always with the provider's name and address."""
    async with reranking(handler, kind, **settings) as (reranker, stub):
        with pytest.raises(UpstreamRejected) as caught:
            await scores_of(reranker, "apples", TEXTS)
    assert f"at {stub.url}" in caught.value.message
    assert len(stub.calls) == calls, "asking again would not help"
    return caught.value.message


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("rows", "said"), ROWS.values(), ids=ROWS)
async def test_results_that_cannot_be_right_are_refused(rows: list[tuple[Any, str]], said: str, shape: str) -> None:
    kind, name, answer = SHAPES[shape]
    written = ", ".join(f'{{"index": {index}, "{name}": {score}}}' for index, score in rows)
    message = await refusal_of(raw(answer % written), kind)
    assert any(words in message for words in said.split("|"))


@pytest.mark.parametrize("kind", [DashScopeRerank, DashScopeNativeRerank, JinaRerank, TeiRerank])
@pytest.mark.parametrize(("answer", "said"), ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_of_another_form_is_refused(answer: str, said: str, kind: type[HttpRerank]) -> None:
    assert said in await refusal_of(raw(answer), kind)


@pytest.mark.parametrize("announced", [True, False])
async def test_of_a_gigabyte_no_more_is_read_than_an_answer_may_have(announced: bool) -> None:
    flood = Flood(announced)
    tracemalloc.start()
    try:
        message = await refusal_of(flood, DashScopeRerank)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "more than 64 MiB" in message
    assert flood.sent < 80 * MIB
    assert most < 160 * MIB


USAGES: dict[str, tuple[dict[str, Any], int]] = {
    "missing": ({}, 0),
    "null": ({"usage": None}, 0),
    "empty": ({"usage": {}}, 0),
    "a list": ({"usage": [79]}, 0),
    "a number": ({"usage": 79}, 0),
    "zero": ({"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}, 0),
    "below zero": ({"usage": {"total_tokens": -79}}, 0),
    "in words": ({"usage": {"total_tokens": "79"}}, 0),
    "as documented": ({"usage": {"total_tokens": 79}}, 79),
}


@pytest.mark.parametrize(("usage", "tokens"), USAGES.values(), ids=USAGES)
async def test_scores_do_not_depend_on_the_usage(usage: dict[str, Any], tokens: int) -> None:
    async with reranking(fixed(results(0.5, 0.25, 0.75) | usage), DashScopeRerank) as (reranker, _):
        answer = await reranker.rerank(EmbeddedQuery("apples"), passages_of(TEXTS))
    assert answer.scores.tolist() == [0.5, 0.25, 0.75]
    assert answer.tokens == tokens


async def test_all_alike_and_the_canary_pair_too_leads_to_the_chat_template_and_the_address() -> None:
    message = await refusal_of(alike(canary=(0.5, 0.5)), VllmRerank, calls=2)
    assert "embedder" in message
    assert "chat template" in message
    assert "WINNOW_RERANK__URL" in message


async def test_equal_scores_are_believed_of_a_reranker_that_tells_the_canary_pair_apart() -> None:
    async with reranking(alike(canary=(0.9, 0.1)), VllmRerank) as (reranker, stub):
        for _ in range(3):
            assert (await scores_of(reranker, "apples", TEXTS)).tolist() == [0.5, 0.5, 0.5]
        assert len(stub.calls) == 4, "the pair is asked once a minute"


async def test_one_document_or_one_text_may_be_alike_without_a_question() -> None:
    async with reranking(fixed(results(0.5)), VllmRerank) as (reranker, stub):
        assert (await scores_of(reranker, "apples", TEXTS[:1])).tolist() == [0.5]
        assert len(stub.calls) == 1
    async with reranking(fixed(results(0.5, 0.5, 0.5)), VllmRerank) as (reranker, stub):
        assert (await scores_of(reranker, "apples", ["apples"] * 3)).tolist() == [0.5, 0.5, 0.5]
        assert len(stub.calls) == 1


async def test_logits_become_probabilities_where_the_settings_say_so() -> None:
    async with reranking(fixed(results(0.0, -1000.0, 3.0)), JinaRerank, scale="logit") as (reranker, _):
        assert (await scores_of(reranker, "apples", TEXTS)).tolist() == pytest.approx([0.5, 0.0, 0.9525741])
    message = await refusal_of(fixed(results(0.0, -4.0, 3.0)), JinaRerank)
    assert "WINNOW_RERANK__SCALE=logit" in message


async def test_scores_that_rounding_took_out_of_their_range_are_put_back() -> None:
    async with reranking(fixed(results(1.0000001, -1e-9, 0.5)), JinaRerank) as (reranker, _):
        assert (await scores_of(reranker, "apples", TEXTS)).tolist() == [1.0, 0.0, 0.5]


async def test_one_failed_part_fails_the_call() -> None:
    server = VllmStub()

    async def third(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        return reply({"message": "no"}, 400) if body["documents"] == ["plums"] else await server(request)

    async with reranking(third, VllmRerank, max_documents=1) as (reranker, _):
        with pytest.raises(UpstreamRejected, match="400"):
            await scores_of(reranker, "apples", TEXTS)


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
        call = asyncio.create_task(scores_of(reranker, "apples", TEXTS))
        await started.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert len(stub.calls) == 1, "the parts that waited were not sent"
    assert ended == 1


@pytest.mark.parametrize(("server", "kind"), [(VllmStub(), VllmRerank), (TeiStub(), TeiRerank)])
async def test_a_server_of_ones_own_is_pinged(server: Handler, kind: type[HttpRerank]) -> None:
    async with reranking(server, kind) as (reranker, stub):
        assert isinstance(reranker, Remote)
        await reranker.ping()
    assert [(call.method, call.path) for call in stub.calls] == [("GET", "/health")]
    async with reranking(always({}, 503), kind) as (reranker, _):
        with pytest.raises(UpstreamUnavailable, match="503"):
            await reranker.ping()


@pytest.mark.parametrize("kind", [DashScopeRerank, DashScopeNativeRerank, JinaRerank, CohereRerank])
async def test_a_provider_that_charges_is_neither_pinged_nor_examined(kind: type[HttpRerank]) -> None:
    async with reranking(fixed({}), kind) as (reranker, stub):
        await reranker.ping()
        assert not await reranker.self_check()
    assert not stub.calls


async def test_a_vllm_server_is_examined() -> None:
    async def embeds(request: web.Request) -> web.Response:
        return reply({"data": [{"embedding": [1.0]}]}, 405 if request.method == "GET" else 200)

    async with reranking(embeds, VllmRerank) as (reranker, _):
        (finding,) = await reranker.self_check()
    assert (finding.check, finding.status) == ("a reranker", "failed")


def test_it_says_what_it_is() -> None:
    info = HttpReranker(TeiRerank()).info
    assert (info.provider, info.model) == ("tei", "tei")
