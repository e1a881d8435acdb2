"""Embedders behind HTTP: what comes over the wire and is not believed."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import orjson
import pytest

from tests.stubs.embeddings import DIMENSIONS, embedding, unit
from tests.stubs.rerank_servers import fixed
from tests.stubs.server import Handler
from tests.stubs.untrusted import MIB, Flood, raw
from winnow.core.errors import UpstreamRejected
from winnow.core.settings.embedding import DashScopeEmbedding, OpenAIEmbedding, VllmEmbedding
from winnow.models.http.embed_dialects import HttpEmbedding
from winnow.operations.probes import probe_embedder

TEXTS = ["one", "two", "three"]
ONE, TWO, THREE = (orjson.dumps(unit(number)).decode() for number in range(3))
NAN = "[NaN" + ", 0.0" * (DIMENSIONS - 1) + "]"
HUGE = "[1e39" + ", 0.0" * (DIMENSIONS - 1) + "]"
FINE = [(0, ONE), (1, TWO), (2, THREE)]
# by what is wrong: pairs of index and vector, as JSON, and what is said of them
ROWS: dict[str, tuple[list[tuple[Any, str]], str]] = {
    "an index out of range": ([*FINE, (3, ONE)], "index 3, 3 texts were sent"),
    "an index below 0": ([(-1, ONE), *FINE], "index -1"),
    "an index repeated": ([*FINE, (1, TWO)], "two vectors have the index 1"),
    "no index": ([("null", ONE)], "index None"),
    "a vector missing": (FINE[:2], "3 texts were sent, 2 vectors came back; the first missing is 2"),
    "no vectors": ([], "0 vectors came back"),
    "a number that is NaN": ([*FINE[:2], (2, NAN)], "not valid JSON"),
    "a number too large": ([*FINE[:2], (2, HUGE)], "vector 2 is not finite"),
    "too few dimensions": ([*FINE[:2], (2, "[1.0, 0.0]")], "2 dimensions, 64 are expected"),
    "no dimensions": ([*FINE[:2], (2, "[]")], "0 dimensions, 64 are expected"),
    "a vector of zeros": ([*FINE[:2], (2, orjson.dumps([0] * DIMENSIONS).decode())], "vector 2 is zero"),
    "an object where a vector was expected": ([(0, '{"0": 1.0}')], "neither base64"),
    "a vector of lists": ([(0, f"[{ONE}]")], "neither base64"),
}
SHAPES: dict[str, tuple[type[HttpEmbedding], dict[str, Any], str, str]] = {
    "flat": (OpenAIEmbedding, {}, "index", '{"data": [%s]}'),
    "nested": (DashScopeEmbedding, {"api": "native"}, "text_index", '{"output": {"embeddings": [%s]}, "usage": {}}'),
}
ANSWERS = {
    "HTML": ("<!doctype html><p>Welcome", "a web page"),
    "nothing": ("", "not valid JSON"),
    "cut off": ('{"data": [{"index": 0, "embed', "not valid JSON"),
    "null": ("null", "NoneType where an object"),
    "a list where an object was expected": (f"[{ONE}]", "list where an object"),
    "text where an object was expected": ('"out of luck"', "out of luck"),
    "objects where lists were expected": ('{"data": {"0": []}, "output": {"embeddings": {}}}', "no list of embeddings"),
    "lists where objects were expected": ('{"data": [[1.0]], "output": [[1.0]]}', "list"),
    "an error with status 200": ('{"error": {"message": "out of luck", "code": 7}}', "out of luck"),
    "an error of two words with status 200": ('{"code": "x", "message": "out of luck"}', "out of luck"),
    "scores": ('{"results": [{"index": 0, "relevance_score": 0.5}]}', "the answer has no"),
}


async def refusal_of(handler: Handler, kind: type[HttpEmbedding], **settings: Any) -> str:
    """What is said of a server that is not believed: always with the provider's name and address."""
    async with embedding(handler, kind, **settings) as (embedder, stub):
        with pytest.raises(UpstreamRejected) as caught:
            await embedder.embed(TEXTS, "document")
    assert f"at {stub.url}" in caught.value.message
    assert len(stub.calls) == 1, "asking again would not help"
    return caught.value.message


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("rows", "said"), ROWS.values(), ids=ROWS)
async def test_vectors_that_cannot_be_right_are_refused(rows: list[tuple[Any, str]], said: str, shape: str) -> None:
    kind, settings, name, answer = SHAPES[shape]
    written = ", ".join(f'{{"{name}": {index}, "embedding": {vector}}}' for index, vector in rows)
    assert said in await refusal_of(raw(answer % written), kind, **settings)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("answer", "said"), ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_of_another_form_is_refused(answer: str, said: str, shape: str) -> None:
    kind, settings, *_ = SHAPES[shape]
    assert said in await refusal_of(raw(answer), kind, **settings)


@pytest.mark.parametrize("announced", [True, False])
async def test_of_a_gigabyte_no_more_is_read_than_an_answer_may_have(announced: bool) -> None:
    flood = Flood(announced)
    tracemalloc.start()
    try:
        message = await refusal_of(flood, VllmEmbedding)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "more than 64 MiB" in message
    assert flood.sent < 80 * MIB
    assert most < 160 * MIB


def same(count: int) -> dict[str, Any]:
    return {"data": [{"index": number, "embedding": unit()} for number in range(count)]}


async def test_one_vector_for_many_texts_is_refused() -> None:
    async with embedding(fixed(same(9))) as (embedder, stub):
        with pytest.raises(UpstreamRejected, match=r"9 texts the same vector.*WINNOW_EMBEDDING__MODEL"):
            await embedder.embed([f"text {number}" for number in range(9)], "document")
    assert len(stub.calls) == 1


async def test_calls_do_not_hide_from_each_other_that_all_vectors_are_one() -> None:
    async with embedding(fixed(same(1)), batch_size=1) as (embedder, _):
        with pytest.raises(UpstreamRejected, match="same vector"):
            await embedder.embed([f"text {number}" for number in range(9)], "document")


async def test_few_texts_or_the_same_one_may_have_one_vector() -> None:
    async with embedding(fixed(same(3), same(9))) as (embedder, _):
        few = await embedder.embed(TEXTS, "document")
        often = await embedder.embed(["one"] * 9, "document")
    np.testing.assert_array_equal(few.vectors, [unit()] * 3)
    np.testing.assert_array_equal(often.vectors, [unit()] * 9)


async def test_the_check_up_finds_out_one_vector_for_all() -> None:
    async with embedding(fixed(same(4), same(9)), OpenAIEmbedding) as (embedder, _):
        report = await probe_embedder(embedder)
    assert report.failed


USAGES: dict[str, tuple[dict[str, Any], int]] = {
    "missing": ({}, 0),
    "null": ({"usage": None}, 0),
    "empty": ({"usage": {}}, 0),
    "a list": ({"usage": [79]}, 0),
    "zero": ({"usage": {"prompt_tokens": 0, "total_tokens": 0}}, 0),
    "below zero": ({"usage": {"prompt_tokens": -79}}, 0),
    "in words": ({"usage": {"prompt_tokens": "79"}}, 0),
    "as documented": ({"usage": {"prompt_tokens": 79, "total_tokens": 79}}, 79),
}


@pytest.mark.parametrize(("usage", "tokens"), USAGES.values(), ids=USAGES)
async def test_vectors_do_not_depend_on_the_usage(usage: dict[str, Any], tokens: int) -> None:
    answer = {"data": [{"index": number, "embedding": unit(number)} for number in range(3)]}
    async with embedding(fixed(answer | usage)) as (embedder, _):
        found = await embedder.embed(TEXTS, "document")
    np.testing.assert_array_equal(found.vectors, [unit(0), unit(1), unit(2)])
    assert found.token_count == tokens
