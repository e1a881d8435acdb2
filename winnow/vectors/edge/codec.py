"""Points and filters in the form of Qdrant Edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import qdrant_edge as edge

from winnow.core.types import FieldType, passage_of
from winnow.ports import Point
from winnow.vectors.bm25 import KeywordEncoder
from winnow.vectors.filters import FilterTranslator
from winnow.vectors.payloads import SPARSE, encode_payload, model_vectors


def edge_point(point: Point, fields: Mapping[str, FieldType], encoder: KeywordEncoder) -> edge.Point:
    """The engine's form of a point that has been checked."""
    vectors = {SPARSE: encoder.document(passage_of(point.title, point.chunk)), **model_vectors(point)}
    return edge.Point(point.id, vectors, encode_payload(point, fields))


FILTERS: Final = FilterTranslator(
    combine=edge.Filter,
    is_empty=edge.IsEmptyCondition,
    matches_any=lambda path, values: edge.FieldCondition(path, match=edge.MatchAny(values)),
    in_range=lambda path, bounds: edge.FieldCondition(path, range=edge.RangeFloat(**bounds)),
    in_period=lambda path, bounds: edge.FieldCondition(
        path, range=edge.RangeDateTime(**{op: moment.isoformat() for op, moment in bounds.items()})
    ),
    matches_nothing=lambda: edge.HasIdCondition(set()),
)
