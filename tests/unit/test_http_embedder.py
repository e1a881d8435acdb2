"""Embedders behind HTTP: what they ask for, how they get around limits, and how they fail."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import stamina
from aiohttp import web

from tests.stubs.embeddings import (
    DIMENSIONS,
    LIMIT,
    DashScopeNativeStub,
    DashScopeStub,
    OpenAIStub,
    VllmStub,
    embedding,
    expected,
    never,
    of,
    openai_error,
)
from tests.stubs.server import reply
from winnow.core.errors import UpstreamRejected, UpstreamTooLong
from winnow.core.settings.embedding import QWEN3_INSTRUCT, DashScopeEmbedding, OpenAIEmbedding, VllmEmbedding
from winnow.models.http.embed_dialects import embed_dialect


class TestAsking:
    async def test_vllm_is_asked_for_base64_and_to_cut_before_its_closing_token(self) -> None:
        async with embedding(VllmStub()) as (embedder, stub):
            await embedder.embed(["one", "two"], "document")
        assert stub.calls[0].path == "/v1/embeddings"
        assert stub.bodies == [
            {
                "model": "Qwen/Qwen3-Embedding-0.6B",
                "input": ["one", "two"],
                "encoding_format": "base64",
                "truncate_prompt_tokens": -1,
                "priority": 1,
                "dimensions": DIMENSIONS,
            }
        ]

    async def test_openai_is_asked_for_base64(self) -> None:
        async with embedding(OpenAIStub(), OpenAIEmbedding) as (embedder, stub):
            await embedder.embed(["one"], "query")
        assert stub.bodies == [
            {
                "model": "text-embedding-3-small",
                "input": ["one"],
                "encoding_format": "base64",
                "dimensions": DIMENSIONS,
            }
        ]

    @pytest.mark.parametrize(
        ("status", "refusal"),
        [
            (400, {"error": {"message": "only floats", "param": "encoding_format"}}),
            (400, {"message": "encoding_format: base64 is not supported"}),
            (422, {"detail": [{"loc": ["body", "encoding_format"], "msg": "Extra inputs are not permitted"}]}),
        ],
    )
    async def test_a_server_that_refuses_the_encoding_gets_no_more_of_it(self, status: int, refusal: Any) -> None:
        plain = OpenAIStub()

        async def floats_only(request: web.Request) -> web.StreamResponse:
            return reply(refusal, status) if "encoding_format" in await request.json() else await plain(request)

        async with embedding(floats_only, OpenAIEmbedding) as (embedder, stub):
            found = await embedder.embed(["one", "two"], "document")
            await embedder.embed(["one"], "query")
        np.testing.assert_allclose(found.vectors, await expected(["one", "two"]), atol=1e-6)
        assert [body.get("encoding_format") for body in stub.bodies] == ["base64", None, None]

    async def test_another_refusal_is_final(self) -> None:
        async with embedding(lambda _: asyncio.sleep(0, openai_error(400, "no")), OpenAIEmbedding) as (embedder, stub):
            with pytest.raises(UpstreamRejected):
                await embedder.embed(["one"], "document")
        assert len(stub.bodies) == 1

    async def test_dashscope_is_asked_for_floats(self) -> None:
        async with embedding(DashScopeStub(), DashScopeEmbedding) as (embedder, stub):
            await embedder.embed(["one"], "document")
        assert stub.calls[0].path == "/compatible-mode/v1/embeddings"
        assert stub.bodies[0]["encoding_format"] == "float"
        assert stub.bodies[0]["dimensions"] == DIMENSIONS

    async def test_dashscope_native_tells_queries_from_documents(self) -> None:
        settings = {"api": "native", "instruct": "Find <|im_end|> it"}
        async with embedding(DashScopeNativeStub(), DashScopeEmbedding, **settings) as (embedder, stub):
            await embedder.embed(["one"], "document")
            await embedder.embed(["one"], "query")
            await embedder.embed(["one"], "query", instruct="")
        assert stub.calls[0].path == "/api/v1/services/embeddings/text-embedding/text-embedding"
        shared = {"output_type": "dense", "dimension": DIMENSIONS}
        assert [body["input"] for body in stub.bodies] == [{"texts": ["one"]}] * 3
        assert [body["parameters"] for body in stub.bodies] == [
            {"text_type": "document", **shared},
            {"text_type": "query", "instruct": "Find <| im_end|> it", **shared},
            {"text_type": "query", **shared},
        ]

    async def test_a_size_that_is_not_set_is_not_asked_for(self) -> None:
        handler = VllmStub()
        async with embedding(handler, dimensions=None) as (embedder, stub):
            with pytest.raises(UpstreamRejected, match=f"{DIMENSIONS} dimensions, 1024 are expected"):
                await embedder.embed(["one"], "document")
        assert len(stub.calls) == 1
        assert "dimensions" not in stub.bodies[0]

    @pytest.mark.parametrize(
        ("instruct", "sent"),
        [
            (None, f"Instruct: {QWEN3_INSTRUCT}\nQuery:who?"),
            ("Find it", "Instruct: Find it\nQuery:who?"),
            ("", "who?"),
        ],
    )
    async def test_a_query_carries_its_instruct_and_a_document_none(self, instruct: str | None, sent: str) -> None:
        async with embedding(VllmStub()) as (embedder, stub):
            await embedder.embed(["who?"], "query", instruct=instruct)
            await embedder.embed(["who?"], "document", instruct=instruct)
        assert [body["input"] for body in stub.bodies] == [[sent], ["who?"]]

    async def test_special_tokens_in_user_text_become_plain_text(self) -> None:
        text = "a<|im_end|>b<|endoftext|><think>"
        plain = "a<| im_end|>b<| endoftext|>< think>"
        async with embedding(VllmStub()) as (embedder, stub):
            await embedder.embed([text], "query", instruct=text)
            await embedder.embed([text], "document")
        assert [body["input"] for body in stub.bodies] == [[f"Instruct: {plain}\nQuery:{plain}"], [plain]]

    async def test_what_utf8_cannot_hold_is_replaced(self) -> None:
        async with embedding(VllmStub()) as (embedder, stub):
            await embedder.embed(["half \ud83d of ü", "whole \ud83d\ude42", "plain"], "document")
        assert stub.bodies[0]["input"] == ["half \ufffd of ü", "whole 🙂", "plain"]

    async def test_text_with_nothing_to_read_costs_no_call(self) -> None:
        async with embedding(VllmStub()) as (embedder, stub):
            found = await embedder.embed(["", " \n\u3000"], "document")
            assert stub.calls == []
            mixed = await embedder.embed(["", "one", "  ", "two"], "document")
        assert found.coverage.tolist() == [0, 0]
        assert not found.vectors.any()
        assert mixed.coverage.tolist() == [0, 1, 0, 1]
        assert stub.bodies[0]["input"] == ["one", "two"]
        np.testing.assert_allclose(mixed.vectors[[1, 3]], await expected(["one", "two"]), atol=1e-6)


class TestBatches:
    async def test_many_texts_go_in_batches_at_the_same_time_and_come_back_in_order(self) -> None:
        stub_of, arrived, all_there = VllmStub(), 0, asyncio.Event()

        async def handler(request: web.Request) -> web.Response:
            nonlocal arrived
            turn = arrived = arrived + 1
            if arrived == 4:
                all_there.set()
            await all_there.wait()
            for _ in range(10 * (4 - turn)):  # the first is answered last
                await asyncio.sleep(0)
            return await stub_of(request)

        texts = [f"word{number} text" for number in range(20)]
        async with embedding(handler, batch_size=6, connections=5, pace=(6, 4)) as (embedder, stub):
            found = await embedder.embed(texts, "document")
        assert sorted(len(body["input"]) for body in stub.bodies) == [2, 6, 6, 6]
        np.testing.assert_allclose(found.vectors, await expected(texts), atol=1e-6)
        assert found.token_count == 40

    async def test_documents_begin_with_small_calls_one_at_a_time(self) -> None:
        running, most, stub_of = 0, 0, VllmStub()

        async def handler(request: web.Request) -> web.Response:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            return await stub_of(request)

        async with embedding(handler, batch_size=32) as (embedder, stub):
            texts = [f"text {number}" for number in range(40)]
            found = await asyncio.gather(embedder.embed(texts, "document"), embedder.embed(texts, "document"))
        assert [len(body["input"]) for body in stub.bodies[:3]] == [16] * 3
        assert most == 1
        for each in found:
            np.testing.assert_allclose(each.vectors, await expected(texts), atol=1e-6)

    async def test_documents_leave_a_connection_to_queries(self) -> None:
        documents_may_go, stub_of, waiting = asyncio.Event(), VllmStub(), 0

        async def handler(request: web.Request) -> web.Response:
            nonlocal waiting
            if (await request.json())["input"][0].startswith("document"):
                waiting += 1
                await documents_may_go.wait()
            return await stub_of(request)

        async with embedding(handler, batch_size=1, connections=3, pace=(1, 9)) as (embedder, _):
            bulk = asyncio.create_task(embedder.embed([f"document {i}" for i in range(9)], "document"))
            while waiting < 2:
                await asyncio.sleep(0.001)
            found = await asyncio.wait_for(embedder.embed(["quick"], "query", instruct=""), 10)
            assert waiting == 2
            documents_may_go.set()
            await bulk
        np.testing.assert_allclose(found.vectors, await expected(["quick"]), atol=1e-6)

    async def test_the_first_failure_ends_the_other_batches(self) -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            return openai_error(400, "bad text") if "bad" in (await request.json())["input"] else await never(request)

        async with embedding(handler, batch_size=1, pace=(1, 3)) as (embedder, _):
            with pytest.raises(UpstreamRejected, match="bad text"):
                await embedder.embed(["a", "b", "bad", "c", "d"], "document")

    async def test_a_batch_that_is_too_large_is_halved(self) -> None:
        texts = [f"text {number}" for number in range(25)]
        async with embedding(DashScopeStub(), DashScopeEmbedding, batch_size=25, pace=(25, 1)) as (embedder, stub):
            found = await embedder.embed(texts, "document")
            first = [len(body["input"]) for body in stub.bodies]
            await embedder.embed(texts, "document")
        np.testing.assert_allclose(found.vectors, await expected(texts), atol=1e-6)
        assert sorted(first) == [6, 6, 6, 7, 12, 13, 25]
        assert max(len(body["input"]) for body in stub.bodies[len(first) :]) <= 7, "what was taken is remembered"

    async def test_one_long_text_is_cut_and_fails_no_other(self, caplog: pytest.LogCaptureFixture) -> None:
        texts = ["one", "word " * 1000, "three"]
        async with embedding(OpenAIStub(), OpenAIEmbedding) as (embedder, _):
            found = await embedder.embed(texts, "document")
        np.testing.assert_allclose(found.vectors, await expected(["one", "word " * LIMIT, "three"]), atol=1e-6)
        assert found.token_count == 2 + LIMIT
        assert "no text of 1000 tokens: embedded its first 256" in caplog.text

    async def test_a_server_that_counts_more_tokens_than_we_do_gets_ever_shorter_text(self) -> None:
        async with embedding(OpenAIStub(), OpenAIEmbedding, max_tokens=2 * LIMIT) as (embedder, _):
            found = await embedder.embed(["word " * 1000], "document")
        assert LIMIT * 3 // 4 <= found.token_count <= LIMIT

    async def test_a_server_that_finds_everything_too_long_is_given_up(self) -> None:
        async def handler(request: web.Request) -> web.Response:
            return openai_error(400, "the input is too long: maximum 0 tokens")

        async with embedding(handler) as (embedder, stub):
            for text in ("word", "word " * 1000, "\u200b"):
                with pytest.raises(UpstreamTooLong):
                    await embedder.embed([text], "document")
        assert len(stub.calls) < 15


class TestQueries:
    async def test_queries_that_come_together_share_calls_and_a_lone_one_goes_at_once(self) -> None:
        stub_of, may_go = VllmStub(), asyncio.Event()

        async def handler(request: web.Request) -> web.StreamResponse:
            await may_go.wait()
            return await stub_of(request)

        queries = [f"query {number}" for number in range(12)]
        async with embedding(handler) as (embedder, stub):
            asked = [asyncio.create_task(embedder.embed([query], "query", instruct="")) for query in queries]
            while len(stub.calls) < 2:
                await asyncio.sleep(0.001)
            may_go.set()
            found = [await each for each in asked]
            alone = await embedder.embed(["alone"], "query", instruct="")
        assert [len(body["input"]) for body in stub.bodies] == [1, 1, 10, 1]
        for query, each in zip(queries, found, strict=True):
            np.testing.assert_allclose(each.vectors, await expected([query]), atol=1e-6)
        assert [each.token_count for each in (*found, alone)] == [2] * 12 + [1]

    async def test_queries_of_different_tasks_do_not_share_a_call(self) -> None:
        async with embedding(DashScopeNativeStub(), DashScopeEmbedding, api="native") as (embedder, stub):
            tasks = ["", "", "one", "two", "one", "two"]
            await asyncio.gather(*(embedder.embed([f"q{i}"], "query", instruct=t) for i, t in enumerate(tasks)))
        said = [(body["parameters"].get("instruct"), len(body["input"]["texts"])) for body in stub.bodies]
        assert sorted(said[2:]) == [("one", 2), ("two", 2)]

    async def test_a_server_that_refuses_a_priority_gets_none_and_queries_never_carry_one(self) -> None:
        plain = VllmStub()

        async def first_come_first_served(request: web.Request) -> web.StreamResponse:
            if (await request.json()).get("priority", 0) == 0:
                return await plain(request)
            return openai_error(400, "Got priority 1 but Priority scheduling is not enabled.", 400)

        async with embedding(first_come_first_served) as (embedder, stub):
            await embedder.embed(["one"], "query")
            await embedder.embed(["one"], "document")
            await embedder.embed(["one"], "document")
        assert [body.get("priority") for body in stub.bodies] == [None, 1, None, None]


class TestErrors:
    async def test_a_wrong_key_names_its_setting_and_not_the_key(self) -> None:
        async with embedding(VllmStub(key="right"), api_key="wrong-key") as (embedder, _):
            with pytest.raises(UpstreamRejected, match="WINNOW_EMBEDDING__API_KEY") as caught:
                await embedder.embed(["one"], "query")
        assert "Unauthorized" in str(caught.value)
        assert "wrong-key" not in str(caught.value)

    async def test_a_wrong_model_names_its_setting(self) -> None:
        async with embedding(VllmStub(model="other")) as (embedder, _):
            with pytest.raises(UpstreamRejected, match="WINNOW_EMBEDDING__MODEL") as caught:
                await embedder.embed(["one"], "query")
        assert "`Qwen/Qwen3-Embedding-0.6B` does not exist" in str(caught.value)

    async def test_a_server_that_is_busy_for_a_moment_is_asked_again(self) -> None:
        good, answers = VllmStub(), 0

        async def handler(request: web.Request) -> web.Response:
            nonlocal answers
            answers += 1
            return await good(request) if answers > 2 else openai_error(503, "queue is full", 503)

        with stamina.set_testing(True, attempts=99, cap=True):
            async with embedding(handler) as (embedder, _):
                found = await embedder.embed(["one"], "query", instruct="")
        np.testing.assert_allclose(found.vectors, await expected(["one"]), atol=1e-6)

    async def test_a_caller_that_runs_out_of_time_gets_away(self) -> None:
        async with embedding(never, batch_size=1, connections=2) as (embedder, _):
            for kind in ("query", "document"):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await embedder.embed(["one", "two", "three"], kind)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await embedder.embed(["one"], "document")  # the turn of the one that left is free again


class TestIdentity:
    def test_what_an_embedder_is(self) -> None:
        info = of(VllmEmbedding, max_tokens=512).info
        assert (info.provider, info.model, info.revision) == ("vllm", "Qwen/Qwen3-Embedding-0.6B", "")
        assert (info.instruct, info.token_dimensions) == (QWEN3_INSTRUCT, 0)
        assert info.max_tokens == 511, "the closing token takes one place"

    def test_a_dialect_a_provider(self) -> None:
        assert embed_dialect(VllmEmbedding(path="/api/v3/embeddings")).path == "/api/v3/embeddings"
        assert embed_dialect(DashScopeEmbedding()).path == "/compatible-mode/v1/embeddings"
        assert embed_dialect(DashScopeEmbedding(api="native")).path.endswith("/text-embedding/text-embedding")
