"""Points of one index of the stand-in for a Qdrant server: kept as the bytes that an answer sends, searched exactly.

Dense vectors are compared by cosine, sparse ones by the inner product with Qdrant's inverse document frequency, token
vectors by the sum of maxima. The search is exact: it uses neither a graph nor quantisation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from qdrant_client import grpc as wire

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]

_FIRST_ROWS: Final = 1024
DENSE, SPARSE, NAMES, TOKENS = "dense", "bm25", "names", "tokens"


class Points:
    """All points of an index, in rows; a row that was deleted stays empty."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.payloads: list[dict[str, Any]] = []
        self._dense: Floats = np.zeros((0, 0), np.float32)
        self._words = {SPARSE: Words(), NAMES: Words()}
        self._tokens: list[Floats | None] = []
        self._fragments: dict[tuple[str, ...], list[bytes]] = {}

    def upsert(self, points: Iterable[Any]) -> None:
        """Insert or replace points, given as messages ``PointStruct``."""
        for point in points:
            row = self.rows.setdefault(point.id.uuid, len(self.payloads))
            if row == len(self.payloads):
                self.payloads.append({})
                for words in self._words.values():
                    words.rows.append({})
                self._tokens.append(None)
            self.payloads[row] = {key: value.SerializeToString() for key, value in point.payload.items()}
            self._set_vectors(row, point.vectors.vectors.vectors)
        self._changed()

    def _set_vectors(self, row: int, vectors: Any) -> None:
        vector = _numbers(vectors[DENSE]) if DENSE in vectors else None
        if vector is not None:
            self._reserve(row + 1, len(vector))
            self._dense[row] = vector / np.linalg.norm(vector)
        elif self._dense.size > row:
            self._dense[row] = 0
        for name, words in self._words.items():
            words.rows[row] = _words(vectors[name]) if name in vectors else {}
        self._tokens[row] = _matrix(vectors[TOKENS]) if TOKENS in vectors else None

    def _reserve(self, rows: int, dimensions: int) -> None:
        if rows <= len(self._dense):
            return
        grown = np.zeros((max(_FIRST_ROWS, 2 * rows), dimensions), np.float32)
        if self._dense.size:
            grown[: len(self._dense)] = self._dense
        self._dense = grown

    def remove(self, ids: Iterable[str]) -> None:
        """Remove points; unknown ids are ignored."""
        for each in ids:
            row = self.rows.pop(each, None)
            if row is not None:
                self.payloads[row], self._tokens[row] = {}, None
                for words in self._words.values():
                    words.rows[row] = {}
                if row < len(self._dense):
                    self._dense[row] = 0
        self._changed()

    def _changed(self) -> None:
        for words in self._words.values():
            words.postings = None
        self._fragments.clear()

    def dense_scores(self, query: Floats) -> Floats:
        """Cosine with every row; 0 where a row has no vector."""
        if not self._dense.size:
            return np.zeros(len(self.payloads), np.float32)
        scores: Floats = self._dense[: len(self.payloads)] @ (query / np.linalg.norm(query))
        return scores

    def sparse_scores(self, name: str, words: Sequence[int], weights: Sequence[float]) -> Floats:
        """Inner product with every row; words of texts, not of names, count by their inverse document frequency."""
        postings, total = self._words[name].index(), len(self.rows)
        scores = np.zeros(len(self.payloads), np.float32)
        for word, weight in zip(words, weights, strict=True):
            if word in postings:
                rows, values = postings[word]
                idf = math.log(1 + (total - len(rows) + 0.5) / (len(rows) + 0.5)) if name == SPARSE else 1.0
                scores[rows] += np.float32(weight * idf) * values
        return scores

    def maxima(self, rows: Sequence[int], query: Floats) -> list[tuple[int, float]]:
        """Row and sum of maxima over the query's vectors, for those of ``rows`` that have token vectors."""
        found = [(row, tokens) for row in rows if (tokens := self._tokens[row]) is not None]
        if not found:
            return []
        similar = np.concatenate([tokens for _, tokens in found]) @ query.T
        starts = np.cumsum([0, *(len(tokens) for _, tokens in found[:-1])])
        sums = np.maximum.reduceat(similar, starts, axis=0).sum(axis=1)
        return [(row, float(score)) for (row, _), score in zip(found, sums, strict=True)]

    def fragments(self, keys: Sequence[str] | None) -> list[bytes]:
        """By row the id and these keys of the payload (``None``: all), as ``ScoredPoint`` begins."""
        name = ("*",) if keys is None else tuple(keys)
        if name not in self._fragments:
            made = [b""] * len(self.payloads)
            for id_, row in self.rows.items():
                kept = {key: value for key, value in self.payloads[row].items() if keys is None or key in keys}
                payload = {key: wire.Value.FromString(value) for key, value in kept.items()}
                made[row] = wire.ScoredPoint(id=wire.PointId(uuid=id_), payload=payload).SerializeToString()
            self._fragments[name] = made
        return self._fragments[name]


class Words:
    """A sparse vector by row, and by word the rows that have it with its weights there."""

    def __init__(self) -> None:
        self.rows: list[dict[int, float]] = []
        self.postings: dict[int, tuple[Rows, Floats]] | None = None

    def index(self) -> dict[int, tuple[Rows, Floats]]:
        """The postings, built at the first search after a write."""
        if self.postings is None:
            lists: dict[int, tuple[list[int], list[float]]] = {}
            for row, words in enumerate(self.rows):
                for word, value in words.items():
                    rows, values = lists.setdefault(word, ([], []))
                    rows.append(row)
                    values.append(value)
            self.postings = {
                word: (np.array(rows, np.intp), np.array(values, np.float32)) for word, (rows, values) in lists.items()
            }
        return self.postings


def best(scores: Floats, limit: int) -> list[tuple[int, float]]:
    """Row and score of the highest ``limit`` scores above or below, but not at, 0; best first."""
    found = np.flatnonzero(scores)
    if len(found) > limit:
        found = found[np.argpartition(-scores[found], limit - 1)[:limit]]
    found = found[np.argsort(-scores[found], kind="stable")]
    return list(zip(found.tolist(), scores[found].tolist(), strict=True))


def _numbers(vector: Any) -> Floats:
    return np.array(vector.dense.data or vector.data, np.float32)


def _words(vector: Any) -> dict[int, float]:
    if vector.WhichOneof("vector") == "sparse":
        return dict(zip(vector.sparse.indices, vector.sparse.values, strict=True))
    return dict(zip(vector.indices.data, vector.data, strict=True))


def _matrix(vector: Any) -> Floats:
    if vector.WhichOneof("vector") == "multi_dense":
        return np.array([row.data for row in vector.multi_dense.vectors], np.float32)
    return np.array(vector.data, np.float32).reshape(vector.vectors_count, -1)
