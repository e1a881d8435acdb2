"""Messages that go to Qdrant over gRPC, made out of numpy arrays.

A vector travels as packed floats (``DenseVector.data``, field 1), so its message is parsed from the array's own bytes:
protobuf offers no other way around a Python number for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import RestToGrpc

from winnow.ports import IndexSchema, Point
from winnow.vectors.keywords import KeywordEncoder
from winnow.vectors.payloads import DENSE, DOCUMENT_ID, POINT_FIELDS, REVISION, TOKENS, encode_payload
from winnow.vectors.qdrant.grpc_filters import match_any
from winnow.vectors.tokens import stored_tokens


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


def nearest(vector: Any) -> Any:
    """A query for the nearest of an array or of a sparse vector of ``KeywordEncoder``."""
    if not isinstance(vector, np.ndarray):
        return wire.Query(nearest=wire.VectorInput(sparse=_sparse(vector)))
    if vector.ndim == 1:
        return wire.Query(nearest=wire.VectorInput(dense=wire.DenseVector.FromString(packed_vector(vector))))
    rows = wire.MultiDenseVector.FromString(packed_vectors(vector))
    return wire.Query(nearest=wire.VectorInput(multi_dense=rows))


def _sparse(words: Any) -> Any:
    return wire.SparseVector(values=words.values, indices=words.indices)


def add_point(request: Any, point: Point, schema: IndexSchema, encoder: KeywordEncoder) -> None:
    """Add a point that has been checked, in place: each message that is put into another one is copied."""
    payload = RestToGrpc.convert_payload(encode_payload(point, schema.fields))
    vectors = request.points.add(id=wire.PointId(uuid=point.id), payload=payload).vectors.vectors.vectors
    for name, words in encoder.document(point.document_id, point.title, point.chunk).items():
        vectors[name].sparse.MergeFrom(_sparse(words))
    if point.dense is not None:
        vectors[DENSE].dense.MergeFromString(packed_vector(point.dense))
    if point.tokens is not None and len(point.tokens):
        vectors[TOKENS].multi_dense.MergeFromString(packed_vectors(stored_tokens(point.tokens, schema.tokens_as)))


def point_ids_message(point_ids: Sequence[str]) -> list[Any]:
    """UUIDs as ``PointId`` messages."""
    return [wire.PointId(uuid=each) for each in point_ids]


@lru_cache(8)
def payload_selector(fields: tuple[str, ...]) -> Any:
    """A selector of these payload fields; made once for each set of fields."""
    return wire.WithPayloadSelector(include=wire.PayloadIncludeSelector(fields=fields))


HIT_FIELDS: Final = payload_selector(tuple(POINT_FIELDS))


def points_before(revision: int | None, documents: Sequence[str]) -> Any:
    """The points of these documents of revisions before this one."""
    conditions = [match_any(DOCUMENT_ID, documents)]
    if revision is not None:
        older = wire.FieldCondition(key=REVISION, range=wire.Range(lt=float(revision)))
        conditions.append(wire.Condition(field=older))
    return wire.Filter(must=conditions)
