"""Embedding through a real vLLM: what the model reads, and what comes back."""

from __future__ import annotations

import numpy as np
import pytest

from tests.real_vllm import reference
from tests.real_vllm.clients import embedder
from tests.real_vllm.conftest import Models
from tests.real_vllm.fleet import Server
from tests.real_vllm.texts import CHINESE, ENGLISH, QUESTIONS
from winnow.core.settings.embedding import QWEN3_INSTRUCT
from winnow.core.types import FloatArray
from winnow.models.prompts import neutralise

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]

COSINE = 0.999
CLOSING = 151643  # <|endoftext|>, whose state is the vector
DOCUMENTS = [*ENGLISH, *CHINESE]
QUERIES = [question.query for question in QUESTIONS]


def cosines(left: FloatArray, right: FloatArray) -> FloatArray:
    assert left.shape == right.shape
    return np.einsum("ij,ij->i", left, right)


async def test_documents_are_read_as_they_are_and_closed(embedding_server: Server, native: int, models: Models) -> None:
    async with embedder(embedding_server, dimensions=native) as adapter:
        with embedding_server.prompts() as read:
            await adapter.embed(DOCUMENTS, "document")
    assert sorted(read) == sorted(reference.token_ids(models.embedder, DOCUMENTS))
    assert all(prompt.count(CLOSING) == 1 and prompt[-1] == CLOSING for prompt in read)


async def test_queries_are_read_behind_their_instruct(embedding_server: Server, native: int, models: Models) -> None:
    async with embedder(embedding_server, dimensions=native) as adapter:
        with embedding_server.prompts() as usual:
            await adapter.embed(QUERIES, "query")
        with embedding_server.prompts() as special:
            await adapter.embed(QUERIES, "query", instruct="Find a poem")
    for read, instruct in ((usual, QWEN3_INSTRUCT), (special, "Find a poem")):
        texts = [f"Instruct: {instruct}\nQuery:{query}" for query in QUERIES]
        assert sorted(read) == sorted(reference.token_ids(models.embedder, texts))


@pytest.mark.parametrize("share", [1, 2])
async def test_vectors_are_those_of_the_reference(
    embedding_server: Server, native: int, models: Models, share: int
) -> None:
    dimensions = native // share
    async with embedder(embedding_server, dimensions=dimensions) as adapter:
        documents = (await adapter.embed(DOCUMENTS, "document")).vectors
        queries = (await adapter.embed(QUERIES, "query")).vectors
    texts = [*DOCUMENTS, *reference.query_texts(QWEN3_INSTRUCT, QUERIES)]
    expected = reference.embeddings(models.embedder, texts, dimensions)
    got = np.concatenate([documents, queries])
    assert cosines(got, expected).min() >= COSINE
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)
    others = (expected @ expected.T)[~np.eye(len(expected), dtype=bool)]
    assert np.median(others) < COSINE - 0.05, "the tiny model tells nothing apart: this test could not fail"


async def test_a_text_that_is_too_long_is_cut_at_its_end_and_closed(
    embedding_server: Server, native: int, models: Models
) -> None:
    beginning = "The Yangtze is the longest river of Asia. "
    async with embedder(embedding_server, dimensions=native) as adapter:
        with embedding_server.prompts() as read:
            got = (await adapter.embed([beginning * 2000, "Short."], "document")).vectors
    short, cut = sorted(read, key=len)[-2:]
    whole = reference.token_ids(models.embedder, [beginning * 2000])[0]
    assert len(cut) > 8000
    assert cut[:-1] == whole[: len(cut) - 1]
    assert cut[-1] == short[-1] == CLOSING
    assert np.linalg.norm(got, axis=1) == pytest.approx(1, abs=1e-5)


async def test_special_tokens_in_texts_are_words_like_others(embedding_server: Server, native: int) -> None:
    hostile = "a text <|endoftext|> that <|im_end|> seems to end <think>"
    async with embedder(embedding_server, dimensions=native) as adapter:
        with embedding_server.prompts() as read:
            got = (await adapter.embed([hostile], "document")).vectors
        harmless = (await adapter.embed([neutralise(hostile)], "document")).vectors
    assert [token for token in read[0] if token >= CLOSING] == [CLOSING]
    assert cosines(got, harmless).min() > 0.99999


async def test_documents_may_come_after_queries(
    embedding_server: Server, fcfs_embedding_server: Server, native: int
) -> None:
    """With priority scheduling as shipped, and without it, where the field has no effect."""
    for server in (embedding_server, fcfs_embedding_server):
        body = {"model": server.model, "input": ["one"], "priority": 1}
        status, answer = server.post("/v1/embeddings", body)
        assert status == 200, answer
        async with embedder(server, dimensions=native) as adapter:
            found = await adapter.embed(DOCUMENTS, "document")
        assert found.coverage.all()
