"""A vector store in memory that compares every point: the reference for the engines, and a fake for tests.

Keyword vectors are those of the real engines. Scores are computed in float64 from the stored vectors.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from winnow.core.acl import DOCUMENT_FIELD
from winnow.core.errors import IndexLost
from winnow.core.filters import matches
from winnow.core.types import Filter, FloatArray, HalfArray
from winnow.ports import (
    ArmHits,
    DescribedPoint,
    Hit,
    IndexRef,
    IndexSchema,
    Point,
    PointHandle,
    PointKey,
    PointScores,
)
from winnow.vectors.filters import FilterTranslator
from winnow.vectors.keywords import NEWEST, encoder_of
from winnow.vectors.keywords.vectors import NAMES, WORDS
from winnow.vectors.payloads import decode_described, encode_payload, named
from winnow.vectors.points import check_points, check_tokens, check_vector, is_stale, new_fields

_CHECKS: Final[FilterTranslator[None]] = FilterTranslator(*[lambda *_, **__: None] * 6)  # refuses what engines refuse


@dataclass(slots=True)
class _Index:
    schema: IndexSchema
    points: dict[str, Point] = field(default_factory=dict)
    words: dict[str, dict[int, float]] = field(default_factory=dict)
    names: dict[str, dict[int, float]] = field(default_factory=dict)


class FakeVectorStore:
    """Everything that the port promises except durability."""

    engine = "fake"
    keyword_tokenizer = NEWEST

    def __init__(self) -> None:
        self._indexes: dict[IndexRef, _Index] = {}

    async def create(self, index: IndexRef, schema: IndexSchema) -> None:
        existing = self._indexes.setdefault(index, _Index(replace(schema, keywords=schema.keywords or NEWEST)))
        missing = new_fields(index, existing.schema, schema)
        existing.schema = replace(existing.schema, fields={**existing.schema.fields, **missing})

    async def drop(self, index: IndexRef) -> None:
        self._indexes.pop(index, None)

    async def indexes(self) -> Sequence[IndexRef]:
        return sorted(self._indexes, key=lambda index: (index.collection, index.generation))

    async def lost(self, indexes: Sequence[IndexRef]) -> Mapping[IndexRef, str]:
        return {index: "it is missing" for index in indexes if index not in self._indexes}

    async def set_aside(self, index: IndexRef) -> str | None:  # noqa: ARG002 - what is in memory is whole, or gone
        return None

    async def upsert(self, index: IndexRef, points: Sequence[Point]) -> None:
        stored = self._get(index)
        check_points(points, stored.schema)
        for point in points:
            vectors = encoder_of(stored.schema.keywords).document(point.document_id, point.title, point.chunk)
            stored.points[point.id] = point
            stored.words[point.id] = _weights(vectors[WORDS])
            stored.names[point.id] = _weights(vectors.get(NAMES))

    async def flush(self, index: IndexRef) -> None:
        self._get(index)

    async def delete_documents(self, index: IndexRef, keep: Mapping[str, int | None]) -> None:
        stored = self._get(index)
        for point in list(stored.points.values()):
            if is_stale(keep, point.document_id, point.revision):
                del stored.points[point.id], stored.words[point.id], stored.names[point.id]

    async def query(
        self,
        index: IndexRef,
        *,
        dense: FloatArray | None = None,
        text: str | None = None,
        name: str | None = None,
        limit: int,
        filter: Filter | None = None,
    ) -> ArmHits:
        stored = self._get(index)
        allowed = _allowed(stored, filter)
        by_dense = _best(stored, _dense_scores(stored, dense), allowed, limit)
        by_words = _best(stored, self._sparse_scores(stored, text), allowed, limit)
        return ArmHits(by_dense, by_words, named(_best(stored, _name_scores(stored, name), allowed, limit)))

    async def matching(
        self, index: IndexRef, *, text: str | None = None, filter: Filter | None = None, limit: int
    ) -> Sequence[PointHandle]:
        stored = self._get(index)
        allowed = _allowed(stored, filter)
        scores = dict.fromkeys(stored.points, 0.0) if text is None else self._sparse_scores(stored, text)
        return sorted((each for each in scores if each in allowed), key=lambda each: (-scores[each], each))[:limit]

    async def describe(self, index: IndexRef, points: Sequence[PointHandle]) -> Mapping[PointHandle, DescribedPoint]:
        stored = self._get(index)
        fields = stored.schema.fields
        found = {each: stored.points[each] for each in map(str, points) if each in stored.points}
        return {each: decode_described(encode_payload(point, fields), fields) for each, point in found.items()}

    async def score(
        self,
        index: IndexRef,
        point_ids: Sequence[str],
        *,
        dense: FloatArray | None = None,
        text: str | None = None,
        tokens: HalfArray | FloatArray | None = None,
    ) -> Mapping[str, PointScores]:
        stored = self._get(index)
        dense_scores, sparse_scores = _dense_scores(stored, dense), self._sparse_scores(stored, text)
        maxsim = _maxsim_scores(stored, point_ids, tokens)
        return {
            each: PointScores(dense_scores.get(each), sparse_scores.get(each), maxsim.get(each)) for each in point_ids
        }

    async def fetch(self, index: IndexRef, point_ids: Sequence[str]) -> Mapping[str, Point]:
        stored = self._get(index)
        return {each: stored.points[each] for each in point_ids if each in stored.points}

    async def read(self, index: IndexRef, point_ids: Sequence[str]) -> Mapping[str, Point]:
        """See the port."""
        found = await self.fetch(index, point_ids)
        return {each: replace(point, dense=None, tokens=None) for each, point in found.items()}

    async def read_with_access(self, index: IndexRef, point_ids: Sequence[str]) -> Mapping[str, Point]:
        """See the port."""
        return await self.read(index, point_ids)

    async def count(self, index: IndexRef) -> int:
        return len(self._get(index).points)

    async def keys(self, index: IndexRef) -> AsyncIterator[PointKey]:
        for point in list(self._get(index).points.values()):
            yield PointKey(point.id, point.document_id, point.revision, point.chunk.index)

    async def check(self) -> None:
        return

    async def close(self) -> None:
        self._indexes.clear()

    def _get(self, index: IndexRef) -> _Index:
        if index not in self._indexes:
            raise IndexLost(f"there is no index for {index.collection!r}, generation {index.generation}")
        return self._indexes[index]

    def _sparse_scores(self, stored: _Index, text: str | None) -> dict[str, float]:
        """BM25 with the engine's idf, ``ln(1 + (N - n + 0.5) / (n + 0.5))`` over all points that have words."""
        query = None if text is None else encoder_of(stored.schema.keywords).query(text)
        if query is None:
            return {}
        frequency = Counter(word for words in stored.words.values() for word in words)
        total = sum(1 for words in stored.words.values() if words)
        idf = {word: math.log1p((total - frequency[word] + 0.5) / (frequency[word] + 0.5)) for word in query.indices}
        scores = {
            each: sum(words[word] * idf[word] for word in query.indices if word in words)
            for each, words in stored.words.items()
        }
        return {each: score for each, score in scores.items() if score > 0}


def _allowed(stored: _Index, filter: Filter | None) -> set[str]:
    """The points that pass a filter, which is refused where an engine would."""
    if filter is not None:
        _CHECKS.translate(filter, stored.schema.fields)
    return {each for each, point in stored.points.items() if filter is None or matches(filter, _seen(point))}


def _seen(point: Point) -> Mapping[str, Any]:
    return {**point.metadata, **point.access, DOCUMENT_FIELD: point.document_id}


def _name_scores(stored: _Index, name: str | None) -> dict[str, float]:
    asked = _weights(encoder_of(stored.schema.keywords).name(name))
    found = {each: sum(names.get(key, 0.0) for key in asked) for each, names in stored.names.items()}
    return {each: score for each, score in found.items() if score > 0}


def _weights(vector: Any | None) -> dict[int, float]:
    """The engine's sparse vector as a map."""
    return {} if vector is None else dict(zip(vector.indices, vector.values, strict=True))


def _dense_scores(stored: _Index, dense: FloatArray | None) -> dict[str, float]:
    if dense is None:
        return {}
    check_vector(dense, stored.schema.dimensions)
    query = _unit(dense)
    if not query.any():
        return {}
    vectors = {each: point.dense for each, point in stored.points.items() if point.dense is not None}
    return {each: float(_unit(vector) @ query) for each, vector in vectors.items()}


def _maxsim_scores(
    stored: _Index, point_ids: Sequence[str], tokens: npt.NDArray[np.floating] | None
) -> dict[str, float]:
    if tokens is None or not len(tokens):
        return {}
    check_tokens(tokens, stored.schema.token_dimensions)
    points = [stored.points[each] for each in point_ids if each in stored.points]
    return {
        point.id: float((tokens.astype(np.float64) @ point.tokens.astype(np.float64).T).max(axis=1).sum())
        for point in points
        if point.tokens is not None and len(point.tokens)
    }


def _best(stored: _Index, scores: Mapping[str, float], allowed: set[str], limit: int) -> tuple[Hit, ...]:
    ranked = sorted((-score, each) for each, score in scores.items() if each in allowed)
    return tuple(Hit(replace(stored.points[each], dense=None, tokens=None), -score) for score, each in ranked[:limit])


def _unit(vector: FloatArray) -> npt.NDArray[np.float64]:
    wide = vector.astype(np.float64)
    return wide / (np.linalg.norm(wide) or 1.0)
