"""Calls on points over gRPC: messages out of numpy, answers read field by field.

A vector travels as packed floats (``DenseVector.data``, field 1), so its message is parsed from the array's own bytes:
protobuf offers no other way around a Python number for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from qdrant_client import AsyncQdrantClient
from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import RestToGrpc

from winnow.core.settings.vectors import QdrantVectors
from winnow.core.types import FieldType, Filter, TokenFormat, passage_of
from winnow.ports import Hit, IndexSchema, Point
from winnow.vectors.bm25 import KeywordEncoder
from winnow.vectors.filters import FilterTranslator
from winnow.vectors.payloads import (
    DENSE,
    DOCUMENT_ID,
    POINT_FIELDS,
    REVISION,
    SPARSE,
    TOKENS,
    Arms,
    decode_point,
    encode_payload,
    ranked,
)
from winnow.vectors.qdrant.schema import EXACT, search_params
from winnow.vectors.tokens import stored_tokens

_EXACT: Final = RestToGrpc.convert_search_params(EXACT)
_NO_VECTORS: Final = wire.WithVectorsSelector(enable=False)


class GrpcPointCalls:
    """See ``PointCalls``."""

    def __init__(self, client: AsyncQdrantClient, settings: QdrantVectors) -> None:
        self._client = client
        self._seconds = settings.timeout_seconds
        self._params = {
            filtered: RestToGrpc.convert_search_params(search_params(settings, filtered=filtered))
            for filtered in (False, True)
        }

    def condition(self, filter: Filter, fields: Mapping[str, FieldType]) -> Any:
        return _FILTERS.translate(filter, fields)

    async def search(self, name: str, arms: Arms, limit: int, condition: Any | None) -> Sequence[tuple[Hit, ...]]:
        params = self._params[condition is not None]
        queries = [
            wire.QueryPoints(
                collection_name=name,
                query=_nearest(vector),
                using=arm,
                limit=limit,
                filter=condition,
                params=params,
                with_payload=_HIT_FIELDS,
            )
            for arm, vector in arms.items()
        ]
        return [_hits(arm.result) for arm in await self._query(name, queries)]

    async def score(self, name: str, arms: Arms, point_ids: Sequence[str]) -> Sequence[Mapping[str, float]]:
        among = wire.Condition(has_id=wire.HasIdCondition(has_id=_ids(point_ids)))
        only = wire.Filter(must=[among])
        queries = [
            wire.QueryPoints(
                collection_name=name,
                query=_nearest(vector),
                using=arm,
                limit=len(point_ids),
                filter=only,
                params=_EXACT,
            )
            for arm, vector in arms.items()
        ]
        return [{row.id.uuid: row.score for row in arm.result} for arm in await self._query(name, queries)]

    async def _query(self, name: str, queries: Sequence[Any]) -> Sequence[Any]:
        request = wire.QueryBatchPoints(collection_name=name, query_points=queries)
        answer = await self._client.grpc_points.QueryBatch(request, timeout=self._seconds)
        return answer.result  # type: ignore[no-any-return]

    def encode(self, points: Sequence[Point], schema: IndexSchema, encoder: KeywordEncoder) -> Any:
        request = wire.UpsertPoints(wait=True)
        for point in points:
            _add(request, point, schema, encoder)
        return request

    async def upsert(self, name: str, encoded: Any) -> None:
        encoded.collection_name = name
        await self._client.grpc_points.Upsert(encoded, timeout=self._seconds)

    async def delete(self, name: str, stale: Sequence[tuple[int | None, Sequence[str]]]) -> None:
        operations = [
            wire.PointsUpdateOperation(
                delete_points=wire.PointsUpdateOperation.DeletePoints(
                    points=wire.PointsSelector(filter=_before(revision, documents))
                )
            )
            for revision, documents in stale
        ]
        request = wire.UpdateBatchPoints(collection_name=name, wait=True, operations=operations)
        await self._client.grpc_points.UpdateBatch(request, timeout=self._seconds)

    async def fetch(
        self, name: str, point_ids: Sequence[str], vectors: Sequence[str], form: TokenFormat
    ) -> Mapping[str, Point]:
        request = wire.GetPoints(
            collection_name=name,
            ids=_ids(point_ids),
            with_payload=_HIT_FIELDS,
            with_vectors=wire.WithVectorsSelector(include=wire.VectorsSelector(names=vectors)),
        )
        answer = await self._client.grpc_points.Get(request, timeout=self._seconds)
        found = ((record.id.uuid, record) for record in answer.result)
        return {
            each: decode_point(each, plain_payload(record.payload), _vectors(record.vectors.vectors.vectors), form)
            for each, record in found
        }

    async def page(
        self, name: str, fields: Sequence[str], limit: int, offset: Any | None
    ) -> tuple[Sequence[tuple[str, Mapping[str, Any]]], Any | None]:
        request = wire.ScrollPoints(
            collection_name=name,
            offset=offset,
            limit=limit,
            with_payload=_selector(tuple(fields)),
            with_vectors=_NO_VECTORS,
        )
        answer = await self._client.grpc_points.Scroll(request, timeout=self._seconds)
        records = [(record.id.uuid, plain_payload(record.payload)) for record in answer.result]
        return records, answer.next_page_offset if answer.HasField("next_page_offset") else None

    async def count(self, name: str) -> int:
        request = wire.CountPoints(collection_name=name, exact=True)
        answer = await self._client.grpc_points.Count(request, timeout=self._seconds)
        return int(answer.result.count)

    async def metadata(self, name: str) -> Mapping[str, Any]:
        request = wire.GetCollectionInfoRequest(collection_name=name)
        answer = await self._client.grpc_collections.Get(request, timeout=self._seconds)
        return plain_payload(answer.result.config.metadata)


# --- requests ------------------------------------------------------------------------------------


def packed_vector(vector: npt.NDArray[np.floating]) -> bytes:
    """A vector of shape (dimensions,) as the bytes of a ``DenseVector``."""
    packed = vector.astype("<f4", copy=False).tobytes()
    return _head(len(packed)) + packed


def packed_vectors(vectors: npt.NDArray[Any]) -> bytes:
    """Vectors of shape (k, dimensions) as the bytes of a ``MultiDenseVector``: a head before the floats of each row."""
    rows = np.ascontiguousarray(vectors, "<f4")
    inner = _head(rows.shape[1] * 4)
    head = np.frombuffer(_head(len(inner) + rows.shape[1] * 4) + inner, np.uint8)
    packed = np.empty((len(rows), len(head) + rows.shape[1] * 4), np.uint8)
    packed[:, : len(head)] = head
    packed[:, len(head) :] = rows.view(np.uint8)
    return packed.tobytes()


@lru_cache(64)
def _head(size: int) -> bytes:
    """Tag and length before a field 1 of ``size`` bytes."""
    head = bytearray(b"\x0a")
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head)


def _nearest(vector: Any) -> Any:
    """A query for the nearest of an array or of a sparse vector of ``KeywordEncoder``."""
    if not isinstance(vector, np.ndarray):
        return wire.Query(nearest=wire.VectorInput(sparse=_sparse(vector)))
    if vector.ndim == 1:
        return wire.Query(nearest=wire.VectorInput(dense=wire.DenseVector.FromString(packed_vector(vector))))
    rows = wire.MultiDenseVector.FromString(packed_vectors(vector))
    return wire.Query(nearest=wire.VectorInput(multi_dense=rows))


def _sparse(words: Any) -> Any:
    return wire.SparseVector(values=words.values, indices=words.indices)


def _add(request: Any, point: Point, schema: IndexSchema, encoder: KeywordEncoder) -> None:
    """Add a point that has been checked, in place: each message that is put into another one is copied."""
    payload = RestToGrpc.convert_payload(encode_payload(point, schema.fields))
    vectors = request.points.add(id=wire.PointId(uuid=point.id), payload=payload).vectors.vectors.vectors
    vectors[SPARSE].sparse.MergeFrom(_sparse(encoder.document(passage_of(point.title, point.chunk))))
    if point.dense is not None:
        vectors[DENSE].dense.MergeFromString(packed_vector(point.dense))
    if point.tokens is not None and len(point.tokens):
        vectors[TOKENS].multi_dense.MergeFromString(packed_vectors(stored_tokens(point.tokens, schema.tokens_as)))


def _ids(point_ids: Sequence[str]) -> list[Any]:
    return [wire.PointId(uuid=each) for each in point_ids]


@lru_cache(8)
def _selector(fields: tuple[str, ...]) -> Any:
    return wire.WithPayloadSelector(include=wire.PayloadIncludeSelector(fields=fields))


_HIT_FIELDS: Final = _selector(tuple(POINT_FIELDS))


def _before(revision: int | None, documents: Sequence[str]) -> Any:
    """The points of these documents of revisions before this one."""
    conditions = [_match_any(DOCUMENT_ID, documents)]
    if revision is not None:
        older = wire.FieldCondition(key=REVISION, range=wire.Range(lt=float(revision)))
        conditions.append(wire.Condition(field=older))
    return wire.Filter(must=conditions)


# --- filters -------------------------------------------------------------------------------------


def _combine(**parts: Sequence[Any]) -> Any:
    """A filter; conditions hold fields or whole filters."""
    conditions: dict[str, Any] = {
        kind: [each if isinstance(each, wire.Condition) else wire.Condition(filter=each) for each in some]
        for kind, some in parts.items()
    }
    return wire.Filter(**conditions)


def _match_any(path: str, values: Sequence[Any]) -> Any:
    if values and not isinstance(values[0], str):
        match = wire.Match(integers=wire.RepeatedIntegers(integers=values))
    else:
        match = wire.Match(keywords=wire.RepeatedStrings(strings=values))
    return wire.Condition(field=wire.FieldCondition(key=path, match=match))


def _in_period(path: str, bounds: Mapping[str, Any]) -> Any:
    moments = {op: RestToGrpc.convert_datetime(moment) for op, moment in bounds.items()}
    return wire.Condition(field=wire.FieldCondition(key=path, datetime_range=wire.DatetimeRange(**moments)))


_FILTERS: Final[FilterTranslator[Any]] = FilterTranslator(
    combine=_combine,
    is_empty=lambda path: wire.Condition(is_empty=wire.IsEmptyCondition(key=path)),
    matches_any=_match_any,
    in_range=lambda path, bounds: wire.Condition(field=wire.FieldCondition(key=path, range=wire.Range(**bounds))),
    in_period=_in_period,
    matches_nothing=lambda: wire.Condition(has_id=wire.HasIdCondition(has_id=[])),
)


# --- answers -------------------------------------------------------------------------------------


class _FoundPoint:
    """A hit's point: the fields that every search looks at, and the message for whoever reads on."""

    __slots__ = ("_payload", "document_id", "id", "revision")

    def __init__(self, row: Any) -> None:
        payload = row.payload
        self.id: str = row.id.uuid
        self.document_id: str = payload[DOCUMENT_ID].string_value
        self.revision: int = payload[REVISION].integer_value
        self._payload = payload

    def read(self) -> Point:
        """See the port."""
        return decode_point(self.id, plain_payload(self._payload))


def _hits(rows: Sequence[Any]) -> tuple[Hit, ...]:
    return ranked([Hit(_FoundPoint(row), row.score) for row in rows])


def plain_payload(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A map of values as Python objects. A map of messages makes what it is asked for: ask only for its keys."""
    return {key: _plain(payload[key]) for key in payload}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    match kind:
        case "struct_value":
            return plain_payload(value.struct_value.fields)
        case "list_value":
            return [_plain(each) for each in value.list_value.values]
        case "null_value" | None:
            return None
        case _:
            return getattr(value, kind)


def _vectors(vectors: Mapping[str, Any]) -> dict[str, npt.NDArray[np.float32]]:
    """The vectors of a record by name. ``data`` and ``vectors_count`` are how servers before 1.16 answer."""
    found: dict[str, npt.NDArray[np.float32]] = {}
    for name in vectors:
        vector = vectors[name]
        match vector.WhichOneof("vector"):
            case "dense":
                found[name] = np.array(vector.dense.data, np.float32)
            case "multi_dense":
                found[name] = np.stack([np.array(row.data, np.float32) for row in vector.multi_dense.vectors])
            case _ if vector.HasField("vectors_count"):
                found[name] = np.array(vector.data, np.float32).reshape(vector.vectors_count, -1)
            case _:
                found[name] = np.array(vector.data, np.float32)
    return found
