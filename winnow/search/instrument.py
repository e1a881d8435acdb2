"""What surrounds the models without being part of them: a cache for query vectors, and the process's metrics."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from cachetools import LRUCache
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from winnow.core.types import FloatArray, HalfArray, SearchAnswer
from winnow.ports import Embedder, EmbedderInfo, Embeddings, EmbedKind, Tokenizer

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


# --- query cache ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Key:
    """What decides a query's vector. ``text`` is in NFC: canonically equal queries are the same query."""

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


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What one call of the embedder gave."""

    rows: Mapping[_Key, _Row]
    token_count: int


_Flight: TypeAlias = asyncio.Task[_Fetched]


class CachedEmbedder(Embedder):
    """Remembers the vectors of queries, and embeds equal queries that come at the same time once.

    Documents pass through. Errors are not remembered. The embedding runs apart from its callers: one that is cancelled
    does not take along those who wait for the same query. ``token_count`` counts what the model read for this call.

    Args:
        embedder: is closed with this wrapper.
        size: queries to remember; the least recently used give way. 0 remembers none.
    """

    def __init__(self, embedder: Embedder, *, size: int) -> None:
        self._embedder = embedder
        self._cache: LRUCache[_Key, _Row] = LRUCache(size)
        self._flights: dict[_Key, _Flight] = {}

    @property
    def info(self) -> EmbedderInfo:
        return self._embedder.info

    @property
    def tokenizer(self) -> Tokenizer:
        return self._embedder.tokenizer

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        if kind == "document" or not texts:
            return await self._embedder.embed(texts, kind, instruct=instruct)
        keys = self._keys(texts, self.info.instruct if instruct is None else instruct)
        rows = {key: self._cache[key] for key in keys if key in self._cache}
        if len(rows) == len(set(keys)):
            return _assemble([rows[key] for key in keys], token_count=0, cached=True)
        missing = [key for key in dict.fromkeys(keys) if key not in rows]
        own = self._take_off([key for key in missing if key not in self._flights])
        flights = {self._flights[key] for key in missing}
        for fetched in await asyncio.gather(*map(asyncio.shield, flights)):
            rows.update(fetched.rows)
        token_count = own.result().token_count if own else 0
        return _assemble([rows[key] for key in keys], token_count=token_count, cached=False)

    async def close(self) -> None:
        await self._embedder.close()
        await asyncio.gather(*self._flights.values(), return_exceptions=True)

    def _keys(self, texts: Sequence[str], instruct: str) -> list[_Key]:
        info = self.info
        return [_Key(info.model, info.revision, instruct, unicodedata.normalize("NFC", text)) for text in texts]

    def _take_off(self, keys: Sequence[_Key]) -> _Flight | None:
        """Start to embed ``keys``; others who ask for one of them meanwhile wait for the same flight."""
        if not keys:
            return None
        flight = asyncio.create_task(self._fetch(keys))
        for key in keys:
            self._flights[key] = flight
        return flight

    async def _fetch(self, keys: Sequence[_Key]) -> _Fetched:
        try:
            texts = [key.text for key in keys]
            embeddings = await self._embedder.embed(texts, "query", instruct=keys[0].instruct)
            rows = dict(zip(keys, _disassemble(embeddings), strict=True))
            if self._cache.maxsize:
                self._cache.update(rows)
            return _Fetched(rows, embeddings.token_count)
        finally:
            for key in keys:
                del self._flights[key]


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


# --- metrics -------------------------------------------------------------------------------------


class Metrics:
    """What one process counts, in Prometheus' terms. No label holds a query, a document or a tenant.

    Args:
        registry: where the metrics live; one of its own for each application.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._stage = Histogram(
            "winnow_stage_seconds",
            "Time in one stage of a search.",
            ["stage", "status"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._searches = Counter(
            "winnow_searches", "Searches that were answered.", ["score_kind", "degraded"], registry=registry
        )
        self._documents = Counter(
            "winnow_documents", "Documents handed in, by what became of them.", ["outcome"], registry=registry
        )
        self._requests = Counter(
            "winnow_http_requests", "HTTP requests answered.", ["route", "method", "status"], registry=registry
        )
        self._request_seconds = Histogram(
            "winnow_http_request_seconds",
            "Time to answer an HTTP request.",
            ["route", "method", "status"],
            buckets=_SECONDS,
            registry=registry,
        )

    def observe_search(self, answer: SearchAnswer) -> None:
        """Count an answered search and the time of each stage that ran."""
        self._searches.labels(answer.score_kind, str(answer.degraded).lower()).inc()
        for stage, report in (("embed", answer.embed), ("retrieve", answer.retrieve), ("rerank", answer.rerank)):
            self._stage.labels(stage, report.status).observe(report.ms / 1000)

    def observe_documents(self, outcome: str, count: int = 1) -> None:
        """Count ``count`` documents that came to ``outcome``: ``accepted``, ``rejected``, ``indexed`` or ``failed``."""
        self._documents.labels(outcome).inc(count)

    def observe_http(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one HTTP exchange. ``route`` is the route's template, never the path itself."""
        known = method if method in _METHODS else "other"  # a client may send any word as method
        self._requests.labels(route, known, str(status)).inc()
        self._request_seconds.labels(route, known, str(status)).observe(seconds)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
