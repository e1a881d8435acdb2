"""The embedder all-MiniLM-L6-v2: on the CPU, no download, no server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Final, TypeAlias

import numpy as np

from winnow.core.errors import UpstreamUnavailable
from winnow.core.settings.embedding import BundledEmbedding
from winnow.core.types import FloatArray, HalfArray
from winnow.models.bundled.minilm import DIMENSIONS, MiniLM, Precision, padded_length
from winnow.models.bundled.precision import sound_encoders
from winnow.models.bundled.query_batcher import QueryBatcher
from winnow.models.bundled.query_graphs import QueryGraphs
from winnow.models.bundled.token_basis import TOKEN_DIMENSIONS, reduced
from winnow.models.bundled.weights import REVISION, load_weights
from winnow.models.bundled.wordpieces import MAX_TOKENS, Reading, WordPieces
from winnow.ports import Embedder, EmbedderInfo, Embeddings, EmbedKind

MODEL: Final = "sentence-transformers/all-MiniLM-L6-v2"
BATCH_TOKENS: Final = 1024  # of one forward pass of documents, padding included
_READ_AT_ONCE: Final = 64  # texts that are cut into tokens together
_READ_ON_THE_SPOT: Final = 1000  # characters of a query that the event loop itself cuts into tokens, in 0.2 ms


TokenForm: TypeAlias = Callable[[HalfArray], HalfArray]
"""Makes the token vectors that are handed out, in an array of their own, from the model's of shape (k, 384)."""


@dataclass(frozen=True, slots=True)
class _Row:
    """The result for one text."""

    vector: FloatArray
    tokens: HalfArray
    coverage: float
    token_count: int


class BundledEmbedder(Embedder):
    """Mean-pooled text vectors, and token vectors for late interaction.

    Of a document these are the means of each two neighbours; of a query those of its tokens that say something, for
    function words and punctuation are found in every text. Both are reduced to 94 dimensions; ``earlier`` leaves them
    at 384, as indexes of earlier versions have them.

    Queries and documents have an encoder each: a query never waits behind a batch of documents, it shares the cores.
    The model was not trained with instructs: an ``instruct`` is read as words in front of the query, and its tokens
    are left out of the token vectors. Text without any word (empty, white space) has coverage 0.

    Raises:
        InvalidSettings: the weights are missing or not the expected ones.
    """

    def __init__(self, settings: BundledEmbedding) -> None:
        weights = load_weights(settings.weights)
        streams = settings.threads or len(os.sched_getaffinity(0))

        def build(precision: Precision) -> tuple[MiniLM, MiniLM]:
            return MiniLM(weights, precision, merge=1, streams=1), MiniLM(weights, precision, merge=2, streams=streams)

        self._wordpieces = WordPieces()
        self._queries, self._documents = sound_encoders(build, settings.precision, self._wordpieces)
        self._graphs = QueryGraphs(self._queries)
        passes = streams + 1  # one is ready to start
        self._batcher = QueryBatcher(self._queries, passes=passes, count=self._graphs.count)
        self._bulk = ThreadPoolExecutor(streams, thread_name_prefix="bulk")

    @property
    def info(self) -> EmbedderInfo:
        return EmbedderInfo("bundled", MODEL, REVISION, DIMENSIONS, MAX_TOKENS, token_dimensions=TOKEN_DIMENSIONS)

    @property
    def precision(self) -> Precision:
        """The precision in which it computes, which is not the wanted one where that failed its test."""
        return self._documents.precision

    @property
    def tokenizer(self) -> WordPieces:
        return self._wordpieces

    @property
    def earlier(self) -> Embedder:
        """This model with token vectors of 384 dimensions. It belongs to this embedder and is closed with it."""
        return _WholeTokens(self)

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        return await self.embed_as(reduced, texts, kind, instruct)

    async def embed_as(
        self, form: TokenForm, texts: Sequence[str], kind: EmbedKind, instruct: str | None
    ) -> Embeddings:
        """As ``embed``, with token vectors that ``form`` makes of those of 384 dimensions."""
        if kind == "document":
            return _stack(await self._embed_documents(texts, form))
        return _stack(await asyncio.gather(*(self._embed_query(text, instruct or "", form) for text in texts)))

    async def close(self) -> None:
        await self._batcher.close()
        await self._graphs.close()
        self._bulk.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._bulk.shutdown)

    async def _embed_documents(self, texts: Sequence[str], form: TokenForm) -> list[_Row]:
        """Texts of about one length go together: a batch is padded to its longest."""
        run = partial(asyncio.get_running_loop().run_in_executor, self._bulk)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        parts = [
            [texts[i] for i in order[start : start + _READ_AT_ONCE]] for start in range(0, len(order), _READ_AT_ONCE)
        ]
        try:
            read = await asyncio.gather(*(run(self._wordpieces.read, part) for part in parts))
            done = await asyncio.gather(*(run(self._encode, batch, form) for batch in self._batches(chain(*read))))
        except RuntimeError as error:  # the executor is shut down
            raise UpstreamUnavailable("the embedding model is closed") from error
        rows = [row for batch in done for row in batch]
        return [row for _, row in sorted(zip(order, rows, strict=True), key=lambda pair: pair[0])]

    def _batches(self, readings: Iterable[Reading]) -> Iterator[list[Reading]]:
        """Cut ``readings`` into runs of at most ``BATCH_TOKENS``, one reading at least."""
        batch: list[Reading] = []
        longest = 0
        for reading in readings:
            longest = max(longest, padded_length(len(reading.ids)))
            if batch and (len(batch) + 1) * longest > BATCH_TOKENS:
                yield batch
                batch, longest = [], padded_length(len(reading.ids))
            batch.append(reading)
        if batch:
            yield batch

    def _encode(self, batch: Sequence[Reading], form: TokenForm) -> list[_Row]:
        encoded = self._documents([reading.ids for reading in batch])
        return [
            _row(reading, vector, form(tokens[: (reading.tokens + 1) // 2]))
            for reading, vector, tokens in zip(batch, encoded.texts, encoded.tokens, strict=True)
        ]

    async def _embed_query(self, text: str, instruct: str, form: TokenForm) -> _Row:
        if len(text) + len(instruct) <= _READ_ON_THE_SPOT:
            reading = self._wordpieces.read([text], instruct)[0]
        else:
            reading = (await asyncio.to_thread(self._wordpieces.read, [text], instruct))[0]
        vector, tokens = await self._batcher.ask(reading.ids)
        return _row(reading, vector, form(tokens[self._wordpieces.telling(reading)]))


class _WholeTokens(Embedder):
    """The bundled embedder with token vectors as indexes of earlier versions have them."""

    def __init__(self, embedder: BundledEmbedder) -> None:
        self._embedder = embedder

    @property
    def info(self) -> EmbedderInfo:
        return replace(self._embedder.info, token_dimensions=DIMENSIONS)

    @property
    def tokenizer(self) -> WordPieces:
        return self._embedder.tokenizer

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        return await self._embedder.embed_as(np.copy, texts, kind, instruct)

    async def close(self) -> None:
        """Its model belongs to another embedder."""


def _row(reading: Reading, vector: FloatArray, tokens: HalfArray) -> _Row:
    """A copy of the vector: no row keeps its batch alive. A text that the model cannot read has no direction."""
    kept = vector.copy() if reading.coverage else np.zeros_like(vector)
    return _Row(kept, tokens, reading.coverage, reading.tokens)


def _stack(rows: Sequence[_Row]) -> Embeddings:
    vectors = np.stack([row.vector for row in rows]) if rows else np.zeros((0, DIMENSIONS), np.float32)
    return Embeddings(
        vectors=vectors,
        coverage=np.array([row.coverage for row in rows], dtype=np.float32),
        tokens=tuple(row.tokens for row in rows),
        token_count=sum(row.token_count for row in rows),
    )
