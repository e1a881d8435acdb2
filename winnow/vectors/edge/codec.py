"""Points, filters and schemas in the form of Qdrant Edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import qdrant_edge as edge

from winnow.core.types import FieldType, TokenFormat
from winnow.ports import IndexSchema, Point
from winnow.vectors.filters import FilterTranslator
from winnow.vectors.keywords import NEWEST, KeywordEncoder, stores_names
from winnow.vectors.payloads import DENSE, NAMES, SPARSE, TOKENS, encode_payload, model_vectors
from winnow.vectors.tokens import stored_size

INDEXING_THRESHOLD_KB: Final = 1000  # segments above this get a graph when the index is optimised
_NO_GRAPH: Final = 0  # token vectors are only ever scored for given points
# Calls come one by one, and an index has a segment or two: with the engine's eight threads a hybrid search of 200,000
# chunks takes 2.2 ms (2.6 ms of CPU), with one 0.95
_SEARCH_THREADS: Final = 1

_DATATYPES: Final[Mapping[TokenFormat, edge.VectorStorageDatatype]] = {
    "uint8": edge.VectorStorageDatatype.Uint8,
    "float16": edge.VectorStorageDatatype.Float16,
}

INDEX_TYPES: Final[Mapping[FieldType, edge.PayloadSchemaType]] = {
    "keyword": edge.PayloadSchemaType.Keyword,
    "integer": edge.PayloadSchemaType.Integer,
    "float": edge.PayloadSchemaType.Float,
    "datetime": edge.PayloadSchemaType.Datetime,
    "boolean": edge.PayloadSchemaType.Keyword,
}

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


def edge_point(point: Point, schema: IndexSchema, encoder: KeywordEncoder) -> edge.Point:
    """The engine's form of a point that has been checked."""
    words = encoder.document(point.document_id, point.title, point.chunk)
    vectors = {**words, **model_vectors(point, schema.tokens_as)}
    return edge.Point(point.id, vectors, encode_payload(point, schema.fields))


def edge_config(schema: IndexSchema) -> edge.EdgeConfig:
    """The engine's configuration of an index."""
    vectors = {DENSE: edge.EdgeVectorParams(schema.dimensions, edge.Distance.Cosine)}
    if schema.token_dimensions:
        vectors[TOKENS] = edge.EdgeVectorParams(
            stored_size(schema.token_dimensions, schema.tokens_as),
            edge.Distance.Dot,
            multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim),
            datatype=_DATATYPES[schema.tokens_as],
            hnsw_config=edge.HnswIndexConfig(_NO_GRAPH, 100, 10_000),
        )
    sparse = {SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)}
    if stores_names(schema.keywords or NEWEST):
        sparse[NAMES] = edge.EdgeSparseVectorParams()
    return edge.EdgeConfig(
        vectors=vectors,
        sparse_vectors=sparse,
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=INDEXING_THRESHOLD_KB),
        max_search_threads=_SEARCH_THREADS,
        wal_enabled=True,
    )
