"""Embedders behind HTTP: what they believe, and the size of their vectors."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from tests.stubs.embeddings import (
    DIMENSIONS,
    VllmStub,
    embedding,
    expected,
    of,
    openai_error,
    rows,
    unit,
)
from tests.stubs.server import reply
from winnow.core.errors import InvalidSettings, UpstreamRejected
from winnow.core.settings.embedding import DashScopeEmbedding, OpenAIEmbedding, VllmEmbedding
from winnow.models.http.embed_dialects import EmbedAnswer, HttpEmbedding, vectors_of
from winnow.models.http.model import BadAnswer


class TestDimensions:
    @pytest.mark.parametrize(
        ("kind", "model", "dimensions"),
        [
            (VllmEmbedding, "Qwen/Qwen3-Embedding-0.6B", 1024),
            (VllmEmbedding, "/models/Qwen3-Embedding-4B/", 2560),
            (VllmEmbedding, "qwen3-embedding-8b", 4096),
            (OpenAIEmbedding, "text-embedding-3-small", 1536),
            (OpenAIEmbedding, "text-embedding-3-large", 3072),
            (OpenAIEmbedding, "text-embedding-ada-002", 1536),
            (DashScopeEmbedding, "text-embedding-v3", 1024),
        ],
    )
    def test_sizes_of_known_models_are_known(self, kind: type[HttpEmbedding], model: str, dimensions: int) -> None:
        assert of(kind, model=model).info.dimensions == dimensions

    def test_the_setting_comes_first(self) -> None:
        assert of(VllmEmbedding, dimensions=256).info.dimensions == 256

    def test_an_unknown_model_needs_the_setting(self) -> None:
        with pytest.raises(InvalidSettings, match="WINNOW_EMBEDDING__DIMENSIONS"):
            of(OpenAIEmbedding, model="bge-m3")
        assert of(OpenAIEmbedding, model="bge-m3", dimensions=1024).info.dimensions == 1024

    async def test_a_server_of_one_size_will_do_if_it_is_the_wanted_one(self) -> None:
        async with embedding(VllmStub(matryoshka=False)) as (embedder, stub):
            first = await embedder.embed(["one"], "document")
            await embedder.embed(["two"], "document")
        np.testing.assert_allclose(first.vectors, await expected(["one"]), atol=1e-6)
        assert ["dimensions" in body for body in stub.bodies] == [True, False, False]

    async def test_a_server_of_another_size_is_refused_with_the_way_out(self) -> None:
        async with embedding(VllmStub(matryoshka=False), dimensions=32) as (embedder, _):
            with pytest.raises(UpstreamRejected) as caught:
                await embedder.embed(["one"], "document")
        assert """--hf-overrides '{"is_matryoshka":true}' or unset WINNOW_EMBEDDING__DIMENSIONS""" in str(caught.value)
        assert "does not support Matryoshka" in str(caught.value)

    async def test_other_providers_get_another_way_out(self) -> None:
        async def handler(request: web.Request) -> web.Response:
            if "dimensions" in await request.json():
                return openai_error(400, "This model does not support specifying dimensions.", param="dimensions")
            return reply(rows([1.0] * 8))

        async with embedding(handler, OpenAIEmbedding) as (embedder, _):
            with pytest.raises(UpstreamRejected, match="unset WINNOW_EMBEDDING__DIMENSIONS, or set it to a size"):
                await embedder.embed(["one"], "document")


BAD = {
    "a list": ([unit()], "list where an object"),
    "text": ("fine", "str where an object"),
    "null": (None, "NoneType where an object"),
    "no data": ({"object": "list"}, "no 'data'"),
    "an error with status 200": ({"message": "out of luck"}, "out of luck"),
    "data is no list": ({"data": {"0": unit()}}, "no list of embeddings"),
    "data of vectors alone": ({"data": [unit(), unit()]}, "no list of embeddings"),
    "a vector is missing": (rows(unit()), "2 texts were sent, 1 vectors came back; the first missing is 1"),
    "a vector too many": (rows(unit(), unit(), unit()), "index 2, 2 texts"),
    "an index repeated": ({"data": [{"index": 0, "embedding": unit()}] * 2}, "two vectors have the index 0"),
    "an index below 0": ({"data": [{"index": -1, "embedding": unit()}]}, "index -1"),
    "no index": ({"data": [{"embedding": unit()}]}, "index None"),
    "an index in words": ({"data": [{"index": "0", "embedding": unit()}]}, "index '0'"),
    "an index that is true": ({"data": [{"index": True, "embedding": unit()}]}, "index True"),
    "another size": (rows(unit()[:-1], unit()), "63 dimensions, 64 are expected"),
    "no vector": (rows(None, unit()), "neither base64"),
    "an empty vector": (rows([], unit()), "0 dimensions"),
    "a matrix": (rows([unit()], unit()), "neither base64"),
    "a ragged matrix": (rows([[1.0], [1.0, 2.0]], unit()), "neither base64"),
    "words": (rows(["a"] * DIMENSIONS, unit()), "neither base64"),
    "objects": (rows([{}] * DIMENSIONS, unit()), "neither base64"),
    "null in a vector": (rows([None, *unit()[1:]], unit()), "vector 0 is not finite"),
    "too large a number": (rows(unit(), [1e300, *unit()[1:]]), "vector 1 is not finite"),
    "zero": (rows(unit(), [0.0] * DIMENSIONS), "vector 1 is zero"),
    "no base64": (rows("no base64!", unit()), "neither base64"),
    "base64 of half a float": (rows(base64.b64encode(bytes(6)).decode(), unit()), "neither base64"),
    "base64 of NaN": (
        rows(base64.b64encode(np.full(DIMENSIONS, np.nan, "<f4").tobytes()).decode(), unit()),
        "vector 0 is not finite",
    ),
    "base64 of infinity": (
        rows(base64.b64encode(np.full(DIMENSIONS, np.inf, "<f4").tobytes()).decode(), unit()),
        "vector 0 is not finite",
    ),
}


class TestDistrust:
    @pytest.mark.parametrize(("answer", "said"), BAD.values(), ids=BAD)
    async def test_an_answer_that_cannot_be_right_is_refused(self, answer: Any, said: str) -> None:
        async def handler(request: web.Request) -> web.Response:
            return reply(answer)

        async with embedding(handler) as (embedder, stub):
            with pytest.raises(UpstreamRejected) as caught:
                await embedder.embed(["one", "two"], "document")
        assert said in str(caught.value)
        assert f"vllm at {stub.url}" in str(caught.value)

    @pytest.mark.parametrize(
        "answer",
        [
            {"output": None},
            {"output": {}},
            {"output": {"embeddings": {}}},
            {"output": {"embeddings": [{"index": 0, "embedding": unit()}]}},
            {"code": "InvalidParameter", "message": "no", "request_id": "0"},
            {"data": [{"index": 0, "embedding": unit()}]},
        ],
    )
    async def test_a_native_answer_that_cannot_be_right_is_refused(self, answer: Any) -> None:
        async def handler(request: web.Request) -> web.Response:
            return reply(answer)

        async with embedding(handler, DashScopeEmbedding, api="native") as (embedder, _):
            with pytest.raises(UpstreamRejected, match="cannot be trusted"):
                await embedder.embed(["one"], "document")

    async def test_answers_in_another_order_are_put_right(self) -> None:
        async def handler(request: web.Request) -> web.Response:
            return reply({"data": [{"index": 1, "embedding": unit(1)}, {"index": 0, "embedding": unit(0)}]})

        async with embedding(handler) as (embedder, _):
            found = await embedder.embed(["one", "two"], "document")
        np.testing.assert_array_equal(found.vectors, [unit(0), unit(1)])

    async def test_vectors_of_another_length_are_normalised(self) -> None:
        async def handler(request: web.Request) -> web.Response:
            return reply(rows([3.0, 4.0, *[0.0] * 62], [1e-9, *[0.0] * 63], [1e30, *[0.0] * 63]))

        async with embedding(handler) as (embedder, _):
            found = await embedder.embed(["one", "two", "three"], "document")
        np.testing.assert_allclose(found.vectors[0][:2], [0.6, 0.8], atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-6)

    def test_no_vectors_for_no_texts(self) -> None:
        assert vectors_of(EmbedAnswer([], 0), 0, 4).shape == (0, 4)
        with pytest.raises(BadAnswer):
            vectors_of(EmbedAnswer([(0, [1.0])], 0), 0, 1)
