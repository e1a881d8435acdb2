"""Cutting of points into requests that a Qdrant server takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from winnow.ports import Point

BATCH_POINTS: Final = 256
BATCH_BYTES: Final = 5_000_000  # the server refuses requests beyond 32 MB; smaller ones keep its queues moving
_GRPC_NUMBER: Final = 4  # bytes
_JSON_NUMBER: Final = 21  # digits of a float32 that is written as a double, and a comma
_KEYWORDS: Final = 2_000  # bytes: keyword vector, ids and keys of a chunk


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
