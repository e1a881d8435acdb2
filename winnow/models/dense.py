"""The base of embedders that make one vector of a text."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from winnow.core.types import FloatArray
from winnow.ports import Embedder, EmbedderInfo, Embeddings, EmbedKind, Tokenizer


class DenseEmbedder(Embedder):
    """Reads every script and makes no token vectors. Text that holds nothing to read gets a zero vector and no call.

    Attributes:
        _info: set by the adapter, as ``_tokenizer`` is.
    """

    _info: EmbedderInfo
    _tokenizer: Tokenizer

    @property
    def info(self) -> EmbedderInfo:
        return self._info

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        task = "" if kind == "document" else self._info.instruct if instruct is None else instruct
        legible = [number for number, text in enumerate(texts) if text.strip()]
        vectors = np.zeros((len(texts), self._info.dimensions), dtype=np.float32)
        coverage = np.zeros(len(texts), dtype=np.float32)
        tokens = 0
        if legible:
            vectors[legible], tokens = await self._embed([texts[number] for number in legible], kind, task)
            coverage[legible] = 1.0
        return Embeddings(vectors, coverage, token_count=tokens)

    @abstractmethod
    async def _embed(self, texts: Sequence[str], kind: EmbedKind, task: str) -> tuple[FloatArray, int]:
        """Vectors of ``texts``, shape (n, dimensions), each of length 1, and the number of tokens that were read."""
