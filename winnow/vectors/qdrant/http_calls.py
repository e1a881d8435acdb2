"""Calls on points over HTTP: JSON straight from and into our types, over the client's own connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException

from winnow.core.settings.vectors import QdrantVectors
from winnow.core.tracing import trace_headers
from winnow.core.types import FieldType, Filter, TokenFormat
from winnow.ports import DescribedPoint, Hit, IndexSchema, Point
from winnow.vectors.filters import FilterTranslator
from winnow.vectors.keywords import KeywordEncoder
from winnow.vectors.payloads import (
    DENSE,
    DOCUMENT_ID,
    POINT_FIELDS,
    REVISION,
    TOKENS,
    Arms,
    StoredPoint,
    decode_described,
    decode_point,
    described_fields,
    encode_payload,
    ranked,
)
from winnow.vectors.qdrant.schema import EXACT, search_params
from winnow.vectors.tokens import stored_tokens

_JSON: Final = {"Content-Type": "application/json"}
_COLLECTION: Final = "/collections/{collection_name}"


def _written(params: models.SearchParams) -> dict[str, Any]:
    return params.model_dump(exclude_none=True, exclude_unset=True)


_EXACT: Final = _written(EXACT)


class HttpPointCalls:
    """See ``PointCalls``."""

    def __init__(self, client: AsyncQdrantClient, settings: QdrantVectors) -> None:
        self._http = client.http.client
        self._params = {filtered: _written(search_params(settings, filtered=filtered)) for filtered in (False, True)}

    def condition(self, filter: Filter, fields: Mapping[str, FieldType]) -> Any:
        return _FILTERS.translate(filter, fields)

    async def search(self, name: str, arms: Arms, limit: int, condition: Any | None) -> Sequence[tuple[Hit, ...]]:
        shared = {"limit": limit, "params": self._params[condition is not None], "with_payload": POINT_FIELDS}
        if condition is not None:
            shared["filter"] = condition
        found = await self._query(name, arms, shared)
        return [
            ranked([Hit(StoredPoint(row["id"], row["payload"]), row["score"]) for row in arm["points"]])
            for arm in found
        ]

    async def matching(self, name: str, arms: Arms, limit: int, condition: Any | None) -> Sequence[str]:
        shared: dict[str, Any] = {"limit": limit, "with_payload": False}
        if condition is not None:
            shared["filter"] = condition
        if arms:
            found = await self._query(name, arms, shared)
            return [row["id"] for arm in found for row in arm["points"]]
        listed = await self._ask("POST", "/points/scroll", name, _dumps(shared | {"with_vector": False}))
        return [record["id"] for record in listed["points"]]

    async def describe(
        self, name: str, point_ids: Sequence[str], fields: Mapping[str, FieldType]
    ) -> Mapping[str, DescribedPoint]:
        asked = {"ids": point_ids, "with_payload": described_fields(fields), "with_vector": False}
        records = await self._ask("POST", "/points", name, _dumps(asked))
        return {record["id"]: decode_described(record["payload"], fields) for record in records}

    async def score(self, name: str, arms: Arms, point_ids: Sequence[str]) -> Sequence[Mapping[str, float]]:
        only = {"must": [{"has_id": list(point_ids)}]}
        found = await self._query(name, arms, {"limit": len(point_ids), "params": _EXACT, "filter": only})
        return [{row["id"]: row["score"] for row in arm["points"]} for arm in found]

    async def _query(self, name: str, arms: Arms, shared: Mapping[str, Any]) -> Any:
        searches = [{"query": _vector(vector), "using": arm, **shared} for arm, vector in arms.items()]
        return await self._ask("POST", "/points/query/batch", name, _dumps({"searches": searches}))

    def encode(self, points: Sequence[Point], schema: IndexSchema, encoder: KeywordEncoder) -> Any:
        return _dumps({"points": [_point(point, schema, encoder) for point in points]})

    async def upsert(self, name: str, encoded: Any) -> None:
        await self._ask("PUT", "/points", name, encoded, wait="true")

    async def delete(self, name: str, stale: Sequence[tuple[int | None, Sequence[str]]]) -> None:
        operations = [{"delete": {"filter": _before(revision, documents)}} for revision, documents in stale]
        await self._ask("POST", "/points/batch", name, _dumps({"operations": operations}), wait="true")

    async def fetch(
        self, name: str, point_ids: Sequence[str], vectors: Sequence[str], form: TokenFormat
    ) -> Mapping[str, Point]:
        asked = {"ids": point_ids, "with_payload": POINT_FIELDS, "with_vector": list(vectors) or False}
        records = await self._ask("POST", "/points", name, _dumps(asked))
        return {
            record["id"]: decode_point(record["id"], record["payload"], record.get("vector") or {}, form)
            for record in records
        }

    async def read(self, name: str, point_ids: Sequence[str], keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        asked = {"ids": point_ids, "with_payload": keys, "with_vector": False}
        records = await self._ask("POST", "/points", name, _dumps(asked))
        return {record["id"]: record["payload"] for record in records}

    async def page(
        self, name: str, fields: Sequence[str], limit: int, offset: Any | None
    ) -> tuple[Sequence[tuple[str, Mapping[str, Any]]], Any | None]:
        asked = {"limit": limit, "with_payload": fields, "with_vector": False}
        if offset is not None:
            asked["offset"] = offset
        found = await self._ask("POST", "/points/scroll", name, _dumps(asked))
        return [(record["id"], record["payload"]) for record in found["points"]], found.get("next_page_offset")

    async def count(self, name: str) -> int:
        return int((await self._ask("POST", "/points/count", name, _dumps({"exact": True})))["count"])

    async def metadata(self, name: str) -> Mapping[str, Any]:
        info = await self._ask("GET", "", name, None)
        return info["config"].get("metadata") or {}

    async def _ask(self, method: str, path: str, name: str, body: bytes | None, **params: str) -> Any:
        """The ``result`` of an answer. Errors are those of the client's own methods."""
        try:
            answer = await self._http.request(
                type_=dict,
                method=method,
                url=_COLLECTION + path,
                headers={**(_JSON if body is not None else {}), **trace_headers()},
                path_params={"collection_name": name},
                params=params,
                content=body,
            )
            return answer["result"]
        except (ValueError, KeyError) as error:  # no JSON, or not the server's
            raise ResponseHandlingException(error) from error


def _dumps(body: Any) -> bytes:
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z)


def _vector(vector: Any) -> Any:
    """An array, or a sparse vector of ``KeywordEncoder``, as it is written in JSON."""
    if isinstance(vector, np.ndarray):
        return np.ascontiguousarray(vector)
    return {"indices": vector.indices, "values": vector.values}


def _point(point: Point, schema: IndexSchema, encoder: KeywordEncoder) -> dict[str, Any]:
    """A point that has been checked."""
    sparse = encoder.document(point.document_id, point.title, point.chunk)
    vectors = {name: _vector(vector) for name, vector in sparse.items()}
    if point.dense is not None:
        vectors[DENSE] = _vector(point.dense)
    if point.tokens is not None and len(point.tokens):
        vectors[TOKENS] = _vector(stored_tokens(point.tokens, schema.tokens_as))
    return {"id": point.id, "vector": vectors, "payload": encode_payload(point, schema.fields)}


def _before(revision: int | None, documents: Sequence[str]) -> dict[str, Any]:
    """The points of these documents of revisions before this one."""
    conditions: list[dict[str, Any]] = [_match_any(DOCUMENT_ID, documents)]
    if revision is not None:
        conditions.append({"key": REVISION, "range": {"lt": float(revision)}})
    return {"must": conditions}


def _match_any(path: str, values: Sequence[Any]) -> dict[str, Any]:
    return {"key": path, "match": {"any": values}}


_FILTERS: Final[FilterTranslator[Any]] = FilterTranslator(
    combine=lambda **parts: parts,
    is_empty=lambda path: {"is_empty": {"key": path}},
    matches_any=_match_any,
    in_range=lambda path, bounds: {"key": path, "range": bounds},
    in_period=lambda path, bounds: {"key": path, "range": bounds},
    matches_nothing=lambda: {"has_id": []},
)
