"""Payloads of points and vectors of queries, the same in both engines.

A payload has the few keys that are filtered or listed, and the rest as one JSON string (``source``): the engine hands a
string over in a fraction of the time that a nested object takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import le
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import orjson

from winnow.core.acl import ACCESS_FIELDS, DOCUMENT_FIELD
from winnow.core.filters import fits, parse_datetime, values_of
from winnow.core.types import Chunk, FieldType, FloatArray, JsonValue, Metadata, TokenFormat
from winnow.ports import DescribedPoint, Hit, IndexSchema, Point, PointKey
from winnow.vectors.keywords import vectors as vector_names
from winnow.vectors.keywords.names import level_of
from winnow.vectors.points import check_tokens, check_vector
from winnow.vectors.tokens import AskedTokens, asked_tokens, read_tokens, stored_tokens

DENSE: Final = "dense"
TOKENS: Final = "tokens"
SPARSE: Final = vector_names.WORDS
NAMES: Final = vector_names.NAMES

DOCUMENT_ID: Final = "document_id"
REVISION: Final = "revision"
CHUNK_INDEX: Final = "chunk_index"
KEY_FIELDS: Final = [DOCUMENT_ID, REVISION, CHUNK_INDEX]
SOURCE: Final = "source"
POINT_FIELDS: Final = [*KEY_FIELDS, SOURCE]  # what `decode_point` needs
FIELDS: Final = "f"
ACCESS_POINT_FIELDS: Final = [*POINT_FIELDS, FIELDS]  # what it reads `Point.access` from, besides

Arms: TypeAlias = Mapping[str, Any]  # a query's vectors by name: arrays, and the engine's sparse vector for words


def field_name(key: str) -> str:
    """The key under which a declared field is stored: free of the characters that a JSON path reserves."""
    return quote(key, safe="")


def field_path(key: str) -> str:
    """JSON path of a declared field, or of the document's id, in the payload."""
    return DOCUMENT_ID if key == DOCUMENT_FIELD else f'{FIELDS}."{field_name(key)}"'


def model_vectors(point: Point, form: TokenFormat) -> dict[str, Any]:
    """The vectors that a model made for a point, by name, as lists; those of tokens in the form of the index."""
    vectors: dict[str, Any] = {}
    if point.dense is not None:
        vectors[DENSE] = point.dense.tolist()
    if point.tokens is not None and len(point.tokens):
        vectors[TOKENS] = stored_tokens(point.tokens, form).tolist()
    return vectors


def query_tokens(schema: IndexSchema, tokens: npt.NDArray[np.floating] | None) -> AskedTokens | None:
    """The token vectors of a query, shape (k, token_dimensions), in the form of the index; ``None`` without any.

    Raises:
        ValueError: they do not fit the schema, or are not finite.
    """
    if tokens is None or not len(tokens):
        return None
    check_tokens(tokens, schema.token_dimensions)
    return asked_tokens(tokens, schema.tokens_as)


def query_vectors(
    schema: IndexSchema, dense: FloatArray | None, words: Any, tokens: AskedTokens | None = None, name: Any = None
) -> Arms:
    """The vectors of a query by name, for each arm that has input. A zero vector has no direction.

    Args:
        schema: of the index that is searched.
        dense: shape (dimensions,).
        words: the engine's sparse vector; ``None`` leaves the arm out.
        tokens: from ``query_tokens``.
        name: as ``words``.

    Raises:
        ValueError: the dense vector does not fit the schema, or is not finite.
    """
    vectors: dict[str, Any] = {}
    if dense is not None:
        check_vector(dense, schema.dimensions)
        if dense.any():
            vectors[DENSE] = dense
    if words is not None:
        vectors[SPARSE] = words
    if tokens is not None:
        vectors[TOKENS] = tokens.vectors
    if name is not None:
        vectors[NAMES] = name
    return vectors


def named(hits: Iterable[Hit]) -> tuple[Hit, ...]:
    """The hits of the arm of names with the level of each as its score, best first; those of other names left out."""
    levels = [Hit(hit.point, float(level_of(hit.score))) for hit in hits]
    return ranked([hit for hit in levels if hit.score])


def encode_payload(point: Point, fields: Mapping[str, FieldType]) -> dict[str, JsonValue]:
    """The payload that is stored with a point."""
    chunk = point.chunk
    about_chunk: tuple[JsonValue, ...] = (chunk.start, chunk.end, chunk.text, chunk.headings, chunk.anchor)
    if chunk.prefix or chunk.place:
        about_chunk = (*about_chunk, len(chunk.prefix), chunk.place)
    source = (*about_chunk, point.title, point.url, point.metadata)
    return {
        DOCUMENT_ID: point.document_id,
        REVISION: point.revision,
        CHUNK_INDEX: chunk.index,
        SOURCE: orjson.dumps(source).decode(),
        FIELDS: encode_fields({**point.metadata, **point.access}, fields),
    }


def encode_fields(metadata: Metadata, fields: Mapping[str, FieldType]) -> dict[str, JsonValue]:
    """The declared fields as they are indexed. Values that are not of the declared type are left out."""
    encoded: dict[str, JsonValue] = {}
    for key, kind in fields.items():
        value = metadata.get(key)
        items = [encode_value(kind, item) for item in values_of(value) if fits(kind, item)]
        if items:
            encoded[field_name(key)] = items if isinstance(value, list) else items[0]
    return encoded


def encode_value(kind: FieldType, value: JsonValue) -> JsonValue:
    """One value in the form that its index compares: booleans as words, moments in UTC."""
    match kind:
        case "boolean":  # the engine reads MatchValue(True) as the integer 1
            return "true" if value else "false"
        case "datetime":
            return parse_datetime(value).isoformat()
        case "float":
            return float(value)
        case "integer" | "keyword":
            return value


def decode_point(
    point_id: str,
    payload: Mapping[str, Any],
    vectors: Mapping[str, Any] | None = None,
    form: TokenFormat = "uint8",
) -> Point:
    """The point of a stored record; without ``vectors`` its arrays stay ``None``. ``form`` is that of the index."""
    start, end, text, headings, anchor, *more, title, url, metadata = orjson.loads(payload[SOURCE])
    prefix, place = more or (0, {})
    dense = vectors.get(DENSE) if vectors else None
    tokens = vectors.get(TOKENS) if vectors else None
    return Point(
        id=point_id,
        document_id=payload[DOCUMENT_ID],
        revision=payload[REVISION],
        chunk=Chunk(payload[CHUNK_INDEX], start, end, text, tuple(headings), anchor, text[:prefix], place),
        title=title,
        url=url,
        metadata=metadata,
        dense=None if dense is None else np.asarray(dense, np.float32),
        tokens=None if tokens is None else read_tokens(np.asarray(tokens), form),
        access=_access(payload[FIELDS]) if payload.get(FIELDS) else {},
    )


def _access(values: Mapping[str, Any]) -> Metadata:
    return {key: values[field_name(key)] for key in ACCESS_FIELDS if field_name(key) in values}


class StoredPoint:
    """A point without vectors, as ``FoundPoint``: its payload is decoded when it is read, and once."""

    __slots__ = ("_stored", "document_id", "id", "revision")

    def __init__(self, point_id: str, payload: Mapping[str, Any]) -> None:
        self.id = point_id
        self.document_id: str = payload[DOCUMENT_ID]
        self.revision: int = payload[REVISION]
        self._stored: Mapping[str, Any] | Point = payload

    def read(self) -> Point:
        """See the port."""
        if not isinstance(self._stored, Point):
            self._stored = decode_point(self.id, self._stored)
        return self._stored


def ranked(hits: list[Hit]) -> tuple[Hit, ...]:
    """Hits of one arm, best first, ties by id. Engines give them by score, so that mostly nothing is left to do."""
    scores = [hit.score for hit in hits]
    if any(map(le, scores, scores[1:])):
        hits.sort(key=lambda hit: (-hit.score, hit.point.id))
    return tuple(hits)


def decode_metadata(payload: Mapping[str, Any]) -> Metadata:
    """The metadata of a stored record."""
    metadata: Metadata = orjson.loads(payload[SOURCE])[-1]
    return metadata


def decode_key(point_id: str, payload: Mapping[str, Any]) -> PointKey:
    """The key of a stored record."""
    return PointKey(point_id, payload[DOCUMENT_ID], payload[REVISION], payload[CHUNK_INDEX])


def described_fields(fields: Mapping[str, FieldType]) -> list[str]:
    """The keys of a payload that ``decode_described`` needs. Moments are stored in UTC; only the source spells them."""
    return [DOCUMENT_ID, REVISION, FIELDS, *([SOURCE] if "datetime" in fields.values() else [])]


def decode_described(payload: Mapping[str, Any], fields: Mapping[str, FieldType]) -> DescribedPoint:
    """The document and the values of declared fields of a stored record, as its metadata spells them."""
    stored: Mapping[str, Any] = payload.get(FIELDS) or {}
    values: dict[str, tuple[JsonValue, ...]] = {}
    spelled: Metadata | None = None
    for key, kind in fields.items():
        value = stored.get(field_name(key))
        if value is None or key in ACCESS_FIELDS:
            continue
        items = value if isinstance(value, list) else [value]
        if kind == "boolean":
            items = [item == "true" for item in items]
        elif kind == "datetime":
            spelled = decode_metadata(payload) if spelled is None else spelled
            items = [item for item in values_of(spelled.get(key)) if fits(kind, item)]
        values[key] = tuple(items)
    return DescribedPoint(payload[DOCUMENT_ID], payload[REVISION], values)
