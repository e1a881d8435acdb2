"""Points and filters in the form of a Qdrant server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from qdrant_client import models

from winnow.core.types import TokenFormat, passage_of
from winnow.ports import Hit, IndexSchema, Point
from winnow.vectors.bm25 import KeywordEncoder
from winnow.vectors.filters import FilterTranslator
from winnow.vectors.payloads import SPARSE, StoredPoint, decode_point, encode_payload, model_vectors, ranked

BATCH_POINTS: Final = 256
BATCH_BYTES: Final = 5_000_000  # the server refuses requests beyond 32 MB; smaller ones keep its queues moving
_GRPC_NUMBER: Final = 4  # bytes
_JSON_NUMBER: Final = 21  # digits of a float32 that is written as a double, and a comma
_KEYWORDS: Final = 2_000  # bytes: keyword vector, ids and keys of a chunk

FILTERS: Final = FilterTranslator(
    combine=models.Filter,
    is_empty=lambda path: models.IsEmptyCondition(is_empty=models.PayloadField(key=path)),
    matches_any=lambda path, values: models.FieldCondition(key=path, match=models.MatchAny(any=values)),
    in_range=lambda path, bounds: models.FieldCondition(key=path, range=models.Range(**bounds)),
    in_period=lambda path, bounds: models.FieldCondition(key=path, range=models.DatetimeRange(**bounds)),
    matches_nothing=lambda: models.HasIdCondition(has_id=[]),
)


def server_point(point: Point, schema: IndexSchema, encoder: KeywordEncoder) -> models.PointStruct:
    """The server's form of a point that has been checked."""
    words = sparse_vector(encoder.document(passage_of(point.title, point.chunk)))
    vectors: dict[str, Any] = {SPARSE: words, **model_vectors(point, schema.tokens_as)}
    return models.PointStruct(id=point.id, vector=vectors, payload=encode_payload(point, schema.fields))


def sparse_vector(words: Any) -> models.SparseVector | None:
    """The server's form of a vector of ``KeywordEncoder``."""
    return None if words is None else models.SparseVector(indices=words.indices, values=words.values)


def batches(points: Sequence[Point], *, as_json: bool) -> Iterator[Sequence[Point]]:
    """Cut into requests of at most 256 points and about 5 MB; one point alone may be larger."""
    begin, size = 0, 0
    for at, point in enumerate(points):
        more = _size(point, _JSON_NUMBER if as_json else _GRPC_NUMBER)
        if at > begin and (at - begin == BATCH_POINTS or size + more > BATCH_BYTES):
            yield points[begin:at]
            begin, size = at, 0
        size += more
    if begin < len(points):
        yield points[begin:]


def decode_record(record: models.Record, form: TokenFormat) -> Point:
    """The point of a stored record, with the vectors that came along."""
    vectors = record.vector if isinstance(record.vector, dict) else None
    return decode_point(str(record.id), record.payload or {}, vectors, form)


def decode_hits(rows: Sequence[models.ScoredPoint]) -> tuple[Hit, ...]:
    """The hits of one arm, best first, ties by id."""
    return ranked([Hit(StoredPoint(str(row.id), row.payload or {}), row.score) for row in rows])


def _size(point: Point, number: int) -> int:
    """About how many bytes a point takes in a request."""
    numbers = sum(0 if array is None else array.size for array in (point.dense, point.tokens))
    text = len(point.chunk.text) + sum(map(len, point.chunk.headings)) + len(point.title) + len(point.url)
    return numbers * number + 3 * text + _KEYWORDS + _size_of(point.metadata)


def _size_of(value: Any) -> int:
    """About how many bytes a JSON value takes, twice where it is indexed."""
    match value:
        case str():
            return 4 * len(value)
        case dict():
            return sum(len(key) + _size_of(item) for key, item in value.items())
        case list():
            return sum(map(_size_of, value))
        case _:
            return 16
