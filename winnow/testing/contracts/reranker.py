"""What every ``Reranker`` must do.

A backend subclasses the suite and supplies the fixture ``reranker``; one that reads stored vectors also overrides
``place``, which puts texts where the reranker finds them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import numpy as np
import pytest

from winnow.core.ids import point_id
from winnow.core.types import Chunk, IndexRef
from winnow.ports import EmbeddedQuery, Passage, Reranker

Place: TypeAlias = Callable[[Sequence[str]], Awaitable[list[Passage]]]
INDEX = IndexRef("books")

QUERY = "copy a file and keep its timestamps"
TEXTS = (
    "Open a URL and return its answer as bytes",
    "Copy the file src to dst and keep its timestamps",
    "A set is an unordered collection of distinct hashable objects",
    "Return the sum of all numbers",
)
ODDITIES = ("", " ", "\ud83d", "a\x00b", "数据库如何连接到服务器", "word " * 5000)


def make_passage(number: int, text: str) -> Passage:
    """The only chunk of document ``number`` of ``INDEX``."""
    return Passage(Chunk(0, 0, len(text), text), point_id=point_id("u" * 32, f"doc-{number}", 1, 0))


class RerankerContract:
    """The suite."""

    @pytest.fixture
    def reranker(self) -> Reranker:
        """The reranker under test."""
        raise NotImplementedError

    @pytest.fixture
    def place(self) -> Place:
        async def make(texts: Sequence[str]) -> list[Passage]:
            return [make_passage(number, text) for number, text in enumerate(texts)]

        return make

    async def test_scores_are_relevance(self, reranker: Reranker, place: Place) -> None:
        passages = await place(TEXTS)
        scores = (await reranker.rerank(EmbeddedQuery(QUERY, index=INDEX), passages)).scores
        assert scores.shape == (len(TEXTS),)
        assert scores.dtype == np.float32
        assert np.all((scores >= 0) & (scores <= 1))
        assert np.argmax(scores) == 1, "the text that answers the query"

    async def test_scores_follow_their_passages(self, reranker: Reranker, place: Place) -> None:
        passages = await place(TEXTS)
        forwards = (await reranker.rerank(EmbeddedQuery(QUERY, index=INDEX), passages)).scores
        backwards = (await reranker.rerank(EmbeddedQuery(QUERY, index=INDEX), passages[::-1])).scores
        np.testing.assert_allclose(forwards, backwards[::-1], atol=1e-3)

    async def test_the_same_call_gives_the_same_scores(self, reranker: Reranker, place: Place) -> None:
        passages = await place(TEXTS)
        first, second = [(await reranker.rerank(EmbeddedQuery(QUERY, index=INDEX), passages)).scores for _ in range(2)]
        np.testing.assert_array_equal(first, second)

    async def test_nothing_to_score_gives_no_scores(self, reranker: Reranker) -> None:
        assert (await reranker.rerank(EmbeddedQuery(QUERY, index=INDEX), [])).scores.shape == (0,)

    async def test_a_single_passage_is_scored(self, reranker: Reranker, place: Place) -> None:
        scores = (await reranker.rerank(EmbeddedQuery(QUERY, index=INDEX), await place(TEXTS[1:2]))).scores
        assert scores.shape == (1,)
        assert 0 < scores[0] <= 1

    @pytest.mark.parametrize("query", ["?", *ODDITIES], ids=ascii)
    async def test_any_text_can_be_scored(self, reranker: Reranker, place: Place, query: str) -> None:
        passages = await place([*TEXTS, *ODDITIES])
        scores = (await reranker.rerank(EmbeddedQuery(query, index=INDEX), passages)).scores
        assert scores.shape == (len(passages),)
        assert np.all((scores >= 0) & (scores <= 1))

    async def test_an_instruct_is_taken(self, reranker: Reranker, place: Place) -> None:
        passages = await place(TEXTS)
        answer = await reranker.rerank(EmbeddedQuery(QUERY, index=INDEX), passages, instruct="Find the function")
        assert np.argmax(answer.scores) == 1

    async def test_calls_at_the_same_time_do_not_mix(self, reranker: Reranker, place: Place) -> None:
        passages = await place(TEXTS)
        queries = [EmbeddedQuery(text, index=INDEX) for text in TEXTS * 5]
        answers = await asyncio.gather(*(reranker.rerank(query, passages) for query in queries))
        assert [int(np.argmax(answer.scores)) for answer in answers] == [0, 1, 2, 3] * 5

    async def test_it_says_what_it_is(self, reranker: Reranker) -> None:
        assert reranker.info.provider
        assert reranker.info.model

    async def test_closing_twice_is_fine(self, reranker: Reranker) -> None:
        await reranker.close()
        await reranker.close()
