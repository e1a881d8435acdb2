"""The models in this process pass the contracts.

Random weights rank by chance: tests that need meaning compare instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from winnow.core.settings.embedding import TorchEmbedding
from winnow.core.settings.rerank import TorchRerank
from winnow.models.local.torch_embedder import TorchEmbedder
from winnow.models.local.torch_reranker import TorchReranker
from winnow.ports import EmbeddedQuery, Embedder, Reranker
from winnow.testing.contracts.embedder import EmbedderContract
from winnow.testing.contracts.reranker import QUERY, TEXTS, Place, RerankerContract


class TestTorchEmbedder(EmbedderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, embedder_folder: Path) -> TorchEmbedding:
        return TorchEmbedding(model=str(embedder_folder), device="cpu", max_tokens=512, batch_tokens=1024)

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls, settings: TorchEmbedding) -> Iterator[Embedder]:
        embedder = TorchEmbedder(settings)
        yield embedder
        asyncio.run(embedder.close())

    @pytest.fixture
    def closable(self, settings: TorchEmbedding) -> Embedder:
        return TorchEmbedder(settings)

    def test_spans_name_the_tokens(self, embedder: Embedder) -> None:
        """Qwen's tokens begin with the white space in front of them."""
        text = "copy  the\nfile, twice"
        spans = embedder.tokenizer.spans(text)
        assert [text[start:end] for start, end in spans] == ["copy", " ", " the", "\n", "file", ",", " twice"]


class TestTorchReranker(RerankerContract):
    @pytest.fixture(scope="class")
    @classmethod
    def reranker(cls, reranker_folder: Path) -> Iterator[Reranker]:
        reranker = TorchReranker(TorchRerank(model=str(reranker_folder), device="cpu", max_tokens=512))
        yield reranker
        asyncio.run(reranker.close())

    async def test_scores_are_relevance(self, reranker: Reranker, place: Place) -> None:
        scores = (await reranker.rerank(EmbeddedQuery(QUERY), await place(TEXTS))).scores
        assert scores.dtype == np.float32
        assert np.all((scores > 0) & (scores < 1))
        assert len(set(scores.tolist())) == len(TEXTS)

    async def test_an_instruct_is_taken(self, reranker: Reranker, place: Place) -> None:
        passages = await place(TEXTS)
        usual = (await reranker.rerank(EmbeddedQuery(QUERY), passages)).scores
        asked = (await reranker.rerank(EmbeddedQuery(QUERY), passages, instruct="Find the function")).scores
        assert np.abs(usual - asked).min() > 1e-5

    async def test_calls_at_the_same_time_do_not_mix(self, reranker: Reranker, place: Place) -> None:
        passages = await place(TEXTS)
        together = await asyncio.gather(*(reranker.rerank(EmbeddedQuery(text), passages) for text in TEXTS * 5))
        alone = [await reranker.rerank(EmbeddedQuery(text), passages) for text in TEXTS]
        for number, answer in enumerate(together):
            np.testing.assert_allclose(answer.scores, alone[number % len(TEXTS)].scores, atol=1e-4)

    async def test_closing_twice_is_fine(self, reranker_folder: Path) -> None:
        reranker = TorchReranker(TorchRerank(model=str(reranker_folder), device="cpu"))
        await reranker.close()
        await reranker.close()
