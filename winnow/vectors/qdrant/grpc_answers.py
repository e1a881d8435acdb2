"""Answers of Qdrant over gRPC, read field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from winnow.ports import Hit, Point
from winnow.vectors.payloads import CHUNK_INDEX, DOCUMENT_ID, REVISION, SOURCE, decode_point, ranked


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
        """See the port. The kinds of these values are known; asking for them takes longer than reading them."""
        payload = self._payload
        known = {DOCUMENT_ID: self.document_id, REVISION: self.revision}
        index, source = payload[CHUNK_INDEX].integer_value, payload[SOURCE].string_value
        return decode_point(self.id, {**known, CHUNK_INDEX: index, SOURCE: source})


def read_hits(rows: Sequence[Any]) -> tuple[Hit, ...]:
    """One arm's ``ScoredPoint`` messages as hits, best first."""
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


def read_vectors(vectors: Mapping[str, Any]) -> dict[str, npt.NDArray[np.float32]]:
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
