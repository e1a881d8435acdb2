"""An embedder and a reranker that need no model: deterministic everywhere, and similar texts are alike."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from winnow.core.marks import Span
from winnow.core.types import Chunk, FloatArray, HalfArray
from winnow.ports import (
    EmbeddedQuery,
    Embedder,
    EmbedderInfo,
    Embeddings,
    EmbedKind,
    Passage,
    Reranker,
    RerankerInfo,
    Reranking,
)

_WORD: Final = re.compile(r"\w+|[^\w\s]")


class WordTokenizer:
    """One token a word or punctuation mark."""

    name = "words"

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Character ranges of the words and marks of ``text``, in order."""
        return [match.span() for match in _WORD.finditer(text)]


class FakeEmbedder(Embedder):
    """A text's vector is the sum of its words' hash-seeded unit vectors: shared words make texts alike.

    An instruct counts as words of the query. Its token vectors are those of the words, in order.

    Args:
        dimensions: size of text and token vectors.
        token_vectors: whether it has any; hosted models have none.
        unknown: pattern of the words that this model does not know; coverage is the share of the others.
    """

    def __init__(self, dimensions: int = 64, *, unknown: str = r"(?!)", token_vectors: bool = True) -> None:
        self._dimensions = dimensions
        self._token_dimensions = dimensions if token_vectors else 0
        self._unknown = re.compile(unknown)
        self._tokenizer = WordTokenizer()

    @property
    def info(self) -> EmbedderInfo:
        return EmbedderInfo("fake", "fake-words", "1", self._dimensions, 256, token_dimensions=self._token_dimensions)

    @property
    def tokenizer(self) -> WordTokenizer:
        return self._tokenizer

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        words = [self._words(text) for text in texts]
        added = self._words(instruct) if instruct and kind == "query" else []
        known = [[word for word in part if not self._unknown.search(word)] for part in words]
        vectors = [self._sum([*part, *added] if part else []) for part in known]
        shares = [len(part) / len(whole) if whole else 0.0 for part, whole in zip(known, words, strict=True)]
        return Embeddings(
            vectors=np.array(vectors, dtype=np.float32).reshape(-1, self._dimensions),
            coverage=np.array(shares, dtype=np.float32),
            tokens=tuple(self._tokens(part) for part in words) if self._token_dimensions else None,
            token_count=sum(map(len, words)),
        )

    async def close(self) -> None:
        """Nothing is open."""

    def _words(self, text: str) -> list[str]:
        return _words(text)[: self.info.max_tokens]

    def _sum(self, words: Sequence[str]) -> FloatArray:
        total = np.sum([_unit_vector(word, self._dimensions) for word in words], axis=0)
        length = np.linalg.norm(total)
        result: FloatArray = total / length if length else np.zeros(self._dimensions, np.float32)
        return result

    def _tokens(self, words: Sequence[str]) -> HalfArray:
        rows = [_unit_vector(word, self._dimensions) for word in words]
        return np.array(rows, dtype=np.float16).reshape(-1, self._dimensions)


class FakeReranker(Reranker):
    """Relevance is the share of the words of query and instruct that a passage's title and text contain."""

    @property
    def info(self) -> RerankerInfo:
        return RerankerInfo("fake", "fake-overlap")

    async def rerank(
        self, query: EmbeddedQuery, passages: Sequence[Passage], *, instruct: str | None = None
    ) -> Reranking:
        asked = set(_words(f"{instruct or ''} {query.text}"))
        texts = [set(_words(f"{passage.title} {passage.chunk.text}")) for passage in passages]
        scores = [len(asked & found) / max(1, len(asked)) for found in texts]
        return Reranking(np.array(scores, dtype=np.float32), tokens=len(asked) + sum(map(len, texts)))

    async def score_spans(
        self,
        query: EmbeddedQuery,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        *,
        instruct: str | None = None,
    ) -> Sequence[FloatArray]:
        """As ``rerank``, of each span."""
        scores = []
        for text, wanted in zip(texts, spans, strict=True):
            parts = [Passage(Chunk(0, *span, text[span.start : span.end])) for span in wanted]
            scores.append((await self.rerank(query, parts, instruct=instruct)).scores)
        return scores

    async def close(self) -> None:
        """Nothing is open."""


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


@lru_cache(maxsize=8192)
def _unit_vector(word: str, dimensions: int) -> FloatArray:
    """The word's direction: the same in every process, nearly orthogonal to other words'."""
    seed = int.from_bytes(hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(dimensions)
    unit: FloatArray = (vector / np.linalg.norm(vector)).astype(np.float32)
    unit.setflags(write=False)
    return unit
