"""A cache of query vectors around an embedder."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from cachetools import LRUCache

from winnow.core.errors import DeadlineExceeded, UpstreamSaturated
from winnow.core.types import FloatArray, HalfArray
from winnow.ports import Embedder, EmbedderInfo, Embeddings, EmbedKind, Remote, Tokenizer, earlier_of
from winnow.search.budgeted import budget_here
from winnow.search.guarded_models import GuardedEmbedder
from winnow.search.limits import stage_seconds_left
from winnow.search.long_queries import joined_tokens, joined_vector, windows_of

_TENANT: Final = ContextVar("tenant", default="")


@contextmanager
def asked_by(tenant: str) -> Iterator[None]:
    """Let queries that are embedded in this block share their vectors with queries of the same tenant alone."""
    token = _TENANT.set(tenant)
    try:
        yield
    finally:
        _TENANT.reset(token)


@dataclass(frozen=True, slots=True)
class _Key:
    """Everything that a query's vector depends on. ``text`` is in NFC: canonically equal queries are the same query.

    It is shared within a tenant alone: an answer's speed must not tell what another one has asked.
    """

    tenant: str
    model: str
    revision: str
    instruct: str
    text: str


@dataclass(frozen=True, slots=True)
class _Row:
    """One query's part of ``Embeddings``."""

    vector: FloatArray
    coverage: float
    tokens: HalfArray | None


@dataclass(slots=True, eq=False)
class _Flight:
    """A call of the embedder that is under way, and the number of callers who wait for it."""

    task: asyncio.Task[_Fetched]
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class _Fetched:
    """The result of one call of the embedder."""

    rows: Mapping[_Key, _Row]
    token_count: int


class CachedEmbedder(Embedder):
    """Remembers the vectors of queries, and embeds equal queries that come at the same time once.

    Documents pass through. A query longer than the embedder reads is embedded in windows and gets their mean. Errors
    are not remembered. The embedding runs apart from its callers: one that is cancelled does not take along those who
    wait for the same query; it ends when all of them have left. ``token_count`` counts what the model read for this
    call.

    What a model elsewhere reads counts for the budget of its caller (``budget_of``): without tokens left it is not
    called, and only what is remembered is answered.

    Args:
        embedder: is closed with this wrapper.
        size: queries to remember; the least recently used give way. 0 remembers none.

    Attributes:
        uncached: the model itself, which a probe asks: the cache would answer it from memory.
        guard: limit and breaker of the model; ``None`` where it has none.
        hits, misses: calls for queries so far that the cache answered alone, and others.
        size: queries that it may remember.
    """

    def __init__(self, embedder: Embedder, *, size: int) -> None:
        self._embedder = embedder
        self.uncached = embedder.unguarded if isinstance(embedder, GuardedEmbedder) else embedder
        self.guard = embedder.guard if isinstance(embedder, GuardedEmbedder) else None
        self._is_charged = isinstance(self.uncached, Remote)
        self.hits = self.misses = 0
        self.size = size
        self._cache: LRUCache[_Key, _Row] = LRUCache(size)
        self._flights: dict[_Key, _Flight] = {}
        earlier = earlier_of(embedder)
        self.earlier: Embedder | None = None if earlier is None else CachedEmbedder(earlier, size=size)

    @property
    def entries(self) -> int:
        """The number of queries that are remembered now."""
        return len(self._cache)

    @property
    def info(self) -> EmbedderInfo:
        return self._embedder.info

    @property
    def tokenizer(self) -> Tokenizer:
        return self._embedder.tokenizer

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        if kind == "document" or not texts:
            await self._require_tokens()
            return await self._read(texts, kind, instruct)
        info = self.info
        instruct = info.instruct if instruct is None else instruct
        tenant = _TENANT.get()
        keys = [_Key(tenant, info.model, info.revision, instruct, unicodedata.normalize("NFC", text)) for text in texts]
        try:
            return await self._look_up(keys)
        except (DeadlineExceeded, UpstreamSaturated):
            if not stage_seconds_left():
                raise
            return await self._look_up(keys)  # the call was of another search, which had less time than this one

    async def _look_up(self, keys: Sequence[_Key]) -> Embeddings:
        rows = {key: self._cache[key] for key in keys if key in self._cache}
        if len(rows) == len(set(keys)):
            self.hits += 1
            return _assemble([rows[key] for key in keys], token_count=0, cached=True)
        self.misses += 1
        await self._require_tokens()
        missing = [key for key in dict.fromkeys(keys) if key not in rows]
        own = None
        if first := [key for key in missing if key not in self._flights]:  # others who ask for them wait for our flight
            own = _Flight(asyncio.create_task(self._fetch(first)))
            own.task.add_done_callback(_look_at_failure)
            self._flights |= dict.fromkeys(first, own)
        flights = {self._flights[key] for key in missing}
        for fetched in await asyncio.gather(*map(self._wait_for, flights)):
            rows.update(fetched.rows)
        token_count = own.task.result().token_count if own else 0
        return _assemble([rows[key] for key in keys], token_count=token_count, cached=False)

    async def close(self) -> None:
        await self._embedder.close()
        if self.earlier is not None:
            await self.earlier.close()
        await asyncio.gather(*(flight.task for flight in self._flights.values()), return_exceptions=True)

    async def _fetch(self, keys: Sequence[_Key]) -> _Fetched:
        try:
            texts = [key.text for key in keys]
            windows = [await self._windows(text) for text in texts]
            flat = [window for part in windows for window in part]
            embeddings = await self._read(flat, "query", keys[0].instruct)
            rows = dict(zip(keys, _whole(_disassemble(embeddings), [len(part) for part in windows]), strict=True))
            if self._cache.maxsize:
                self._cache.update(rows)
            return _Fetched(rows, embeddings.token_count)
        finally:
            self._forget(asyncio.current_task())

    async def _require_tokens(self) -> None:
        if self._is_charged and (budget := budget_here()) is not None:
            await budget.require()

    async def _read(self, texts: Sequence[str], kind: EmbedKind, instruct: str | None) -> Embeddings:
        embeddings = await self._embedder.embed(texts, kind, instruct=instruct)
        if self._is_charged and embeddings.token_count and (budget := budget_here()) is not None:
            await budget.spend(embeddings.token_count)
        return embeddings

    async def _windows(self, text: str) -> list[str]:
        if len(text) <= self.info.max_tokens:
            return [text]
        return await asyncio.to_thread(windows_of, self._embedder, text)

    async def _wait_for(self, flight: _Flight) -> _Fetched:
        """Wait for a flight, and end it where the last of those who wait for it leaves."""
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._forget(flight.task)  # at once: those who come now must not wait for a cancelled one
                flight.task.cancel()

    def _forget(self, task: asyncio.Task[Any] | None) -> None:
        self._flights = {key: flight for key, flight in self._flights.items() if flight.task is not task}


def _look_at_failure(task: asyncio.Task[_Fetched]) -> None:
    """Keep asyncio from reporting a failure whose waiters had all left by then."""
    if not task.cancelled():
        task.exception()


def uncached(embedder: Embedder) -> Embedder:
    """The embedder without its cache, if it has one."""
    return embedder.uncached if isinstance(embedder, CachedEmbedder) else embedder


def _whole(rows: Sequence[_Row], counts: Sequence[int]) -> Iterator[_Row]:
    """One row for each query from those of its windows."""
    at = 0
    for count in counts:
        yield _joined(rows[at : at + count])
        at += count


def _joined(rows: Sequence[_Row]) -> _Row:
    if len(rows) == 1:
        return rows[0]
    coverage = np.array([row.coverage for row in rows], dtype=np.float32)
    tokens = [row.tokens for row in rows if row.tokens is not None]
    vector = joined_vector(np.stack([row.vector for row in rows]), coverage)
    return _Row(vector, float(coverage.mean()), joined_tokens(tokens) if len(tokens) == len(rows) else None)


def _disassemble(embeddings: Embeddings) -> list[_Row]:
    tokens = embeddings.tokens or [None] * len(embeddings.vectors)
    parts = zip(embeddings.vectors, embeddings.coverage, tokens, strict=True)
    return [_Row(vector.copy(), float(coverage), part) for vector, coverage, part in parts]


def _assemble(rows: Sequence[_Row], *, token_count: int, cached: bool) -> Embeddings:
    tokens = tuple(row.tokens for row in rows if row.tokens is not None)
    return Embeddings(
        vectors=np.stack([row.vector for row in rows]),
        coverage=np.array([row.coverage for row in rows], dtype=np.float32),
        tokens=tokens if len(tokens) == len(rows) else None,
        token_count=token_count,
        cached=cached,
    )
