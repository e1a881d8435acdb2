"""The bundled embedders: on the CPU, no download, no server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Final, TypeAlias

import numpy as np

from winnow.core.cores import usable_cores
from winnow.core.errors import UpstreamUnavailable
from winnow.core.settings.embedding import BundledEmbedding
from winnow.core.types import FloatArray, HalfArray
from winnow.models.bundled.encoder import DIMENSIONS, BertEncoder, Precision, padded_length
from winnow.models.bundled.offered import DeferredReader, offered
from winnow.models.bundled.precision import KnownText, sound_encoders
from winnow.models.bundled.query_batcher import QueryBatcher
from winnow.models.bundled.query_graphs import QueryGraphs
from winnow.models.bundled.reading import Reading, TextReader
from winnow.models.bundled.token_basis import TokenBasis
from winnow.models.deferred import DeferredEmbedder
from winnow.ports import MIN_COVERAGE, Embedder, EmbedderInfo, Embeddings, EmbedKind

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
    at 384, as indexes of earlier versions have them. A document that the model cannot read (its coverage is below
    ``MIN_COVERAGE``) is not computed: its vector is zero, and it has no token vectors.

    Queries and documents have an encoder each: a query never waits behind a batch of documents, it shares the cores.
    The models were not trained with instructs: an ``instruct`` is read as words in front of the query, and its tokens
    are left out of the token vectors. Text without any word (empty, white space) has coverage 0.

    Args:
        settings: which model, and how it computes.
        reader: its tokenizer, where there is one already.

    Raises:
        InvalidSettings: the weights are missing or not the expected ones.
    """

    def __init__(self, settings: BundledEmbedding, reader: TextReader | None = None) -> None:
        self._model = offered(settings)
        checkpoint = self._model.load(settings.weights)
        streams = settings.threads or usable_cores()

        def build(precision: Precision) -> tuple[BertEncoder, BertEncoder]:
            queries = BertEncoder(checkpoint, precision, merge=1, streams=1)
            return queries, BertEncoder(checkpoint, precision, merge=2, streams=streams)

        self._reader = self._model.reader(settings.weights) if reader is None else reader
        self._basis = TokenBasis.load(self._model.basis)
        known = KnownText.of(self._reader, self._model.measured)
        self._queries, self._documents = sound_encoders(build, settings.precision, known)
        self._graphs = QueryGraphs(self._queries)
        passes = streams + 1  # one is ready to start
        self._batcher = QueryBatcher(self._queries, passes=passes, count=self._graphs.count)
        self._bulk = ThreadPoolExecutor(streams, thread_name_prefix="bulk")

    @property
    def info(self) -> EmbedderInfo:
        return self._model.info

    @property
    def precision(self) -> Precision:
        """The precision in which it computes, which is not the wanted one where that failed its test."""
        return self._documents.precision

    @property
    def tokenizer(self) -> TextReader:
        return self._reader

    @property
    def earlier(self) -> Embedder | None:
        """This model with token vectors of 384 dimensions, if earlier versions made them. It is closed with this."""
        return WholeTokens(self) if self._model.has_earlier else None

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        return await self.embed_as(self._basis.reduced, texts, kind, instruct)

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
            read = await asyncio.gather(*(run(self._reader.read, part) for part in parts))
            readings = list(chain(*read))
            legible = [reading for reading in readings if _is_legible(reading)]
            done = await asyncio.gather(*(run(self._encode, batch, form) for batch in self._batches(legible)))
        except RuntimeError as error:  # the executor is shut down
            raise UpstreamUnavailable("the embedding model is closed") from error
        made = chain.from_iterable(done)
        rows = [next(made) if _is_legible(reading) else self._unread(reading, form) for reading in readings]
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
        skipped = self._model.prefix_pairs
        return [
            _Row(vector.copy(), form(tokens[skipped : (len(reading.ids) - 1) // 2]), reading.coverage, reading.tokens)
            for reading, vector, tokens in zip(batch, encoded.texts, encoded.tokens, strict=True)
        ]

    async def _embed_query(self, text: str, instruct: str, form: TokenForm) -> _Row:
        if len(text) + len(instruct) <= _READ_ON_THE_SPOT:
            reading = self._reader.read([text], instruct, kind="query")[0]
        else:
            reading = (await asyncio.to_thread(self._reader.read, [text], instruct, kind="query"))[0]
        vector, tokens = await self._batcher.ask(reading.ids)
        kept = vector.copy() if reading.coverage else np.zeros_like(vector)
        return _Row(kept, form(tokens[self._reader.telling(reading)]), reading.coverage, reading.tokens)

    def _unread(self, reading: Reading, form: TokenForm) -> _Row:
        """The result for a document that the model cannot read: nothing is computed for it."""
        none = form(np.zeros((0, DIMENSIONS), np.float16))
        return _Row(np.zeros(DIMENSIONS, np.float32), none, reading.coverage, 0)


class WholeTokens(Embedder):
    """The bundled embedder with token vectors as indexes of earlier versions have them."""

    def __init__(self, embedder: BundledEmbedder) -> None:
        self._embedder = embedder

    @property
    def info(self) -> EmbedderInfo:
        return replace(self._embedder.info, token_dimensions=DIMENSIONS)

    @property
    def tokenizer(self) -> TextReader:
        return self._embedder.tokenizer

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        return await self._embedder.embed_as(np.copy, texts, kind, instruct)

    async def close(self) -> None:
        """Its model belongs to another embedder."""


def deferred_embedder(settings: BundledEmbedding) -> DeferredEmbedder:
    """The bundled embedder, loaded when it is first needed."""
    model, reader = offered(settings), DeferredReader(settings)
    return DeferredEmbedder(
        model.info,
        reader,
        lambda: BundledEmbedder(settings, reader),
        earlier_dimensions=DIMENSIONS if model.has_earlier else 0,
    )


def _is_legible(reading: Reading) -> bool:
    return reading.coverage >= MIN_COVERAGE


def _stack(rows: Sequence[_Row]) -> Embeddings:
    vectors = np.stack([row.vector for row in rows]) if rows else np.zeros((0, DIMENSIONS), np.float32)
    return Embeddings(
        vectors=vectors,
        coverage=np.array([row.coverage for row in rows], dtype=np.float32),
        tokens=tuple(row.tokens for row in rows),
        token_count=sum(row.token_count for row in rows),
    )
