"""Calls on points over gRPC: requests made in ``grpc_requests``, answers read in ``grpc_answers``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from qdrant_client import AsyncQdrantClient
from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import RestToGrpc

from winnow.core.settings.vectors import QdrantVectors
from winnow.core.tracing import trace_metadata
from winnow.core.types import FieldType, Filter, TokenFormat
from winnow.ports import DescribedPoint, Hit, IndexSchema, Point
from winnow.vectors.keywords import KeywordEncoder
from winnow.vectors.payloads import Arms, decode_described, decode_point, described_fields
from winnow.vectors.qdrant.grpc_answers import plain_payload, read_hits, read_vectors
from winnow.vectors.qdrant.grpc_filters import FILTERS
from winnow.vectors.qdrant.grpc_requests import (
    HIT_FIELDS,
    add_point,
    nearest,
    payload_selector,
    point_ids_message,
    points_before,
)
from winnow.vectors.qdrant.schema import EXACT, search_params

_EXACT: Final = RestToGrpc.convert_search_params(EXACT)
_NO_VECTORS: Final = wire.WithVectorsSelector(enable=False)
_NO_PAYLOAD: Final = wire.WithPayloadSelector(enable=False)


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
        return FILTERS.translate(filter, fields)

    async def search(self, name: str, arms: Arms, limit: int, condition: Any | None) -> Sequence[tuple[Hit, ...]]:
        params = self._params[condition is not None]
        queries = [
            wire.QueryPoints(
                collection_name=name,
                query=nearest(vector),
                using=arm,
                limit=limit,
                filter=condition,
                params=params,
                with_payload=HIT_FIELDS,
            )
            for arm, vector in arms.items()
        ]
        return [read_hits(arm.result) for arm in await self._query(name, queries)]

    async def matching(self, name: str, arms: Arms, limit: int, condition: Any | None) -> Sequence[str]:
        if not arms:
            return await self._listed(name, limit, condition)
        queries = [
            wire.QueryPoints(
                collection_name=name,
                query=nearest(vector),
                using=arm,
                limit=limit,
                filter=condition,
                with_payload=_NO_PAYLOAD,
            )
            for arm, vector in arms.items()
        ]
        return [row.id.uuid for arm in await self._query(name, queries) for row in arm.result]

    async def _listed(self, name: str, limit: int, condition: Any | None) -> Sequence[str]:
        request = wire.ScrollPoints(
            collection_name=name,
            limit=limit,
            filter=condition,
            with_payload=_NO_PAYLOAD,
            with_vectors=_NO_VECTORS,
        )
        answer = await self._client.grpc_points.Scroll(request, timeout=self._seconds, metadata=trace_metadata())
        return [record.id.uuid for record in answer.result]

    async def describe(
        self, name: str, point_ids: Sequence[str], fields: Mapping[str, FieldType]
    ) -> Mapping[str, DescribedPoint]:
        request = wire.GetPoints(
            collection_name=name,
            ids=point_ids_message(point_ids),
            with_payload=payload_selector(tuple(described_fields(fields))),
            with_vectors=_NO_VECTORS,
        )
        answer = await self._client.grpc_points.Get(request, timeout=self._seconds, metadata=trace_metadata())
        return {record.id.uuid: decode_described(plain_payload(record.payload), fields) for record in answer.result}

    async def score(self, name: str, arms: Arms, point_ids: Sequence[str]) -> Sequence[Mapping[str, float]]:
        among = wire.Condition(has_id=wire.HasIdCondition(has_id=point_ids_message(point_ids)))
        only = wire.Filter(must=[among])
        queries = [
            wire.QueryPoints(
                collection_name=name,
                query=nearest(vector),
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
        answer = await self._client.grpc_points.QueryBatch(request, timeout=self._seconds, metadata=trace_metadata())
        return answer.result  # type: ignore[no-any-return]

    def encode(self, points: Sequence[Point], schema: IndexSchema, encoder: KeywordEncoder) -> Any:
        request = wire.UpsertPoints(wait=True)
        for point in points:
            add_point(request, point, schema, encoder)
        return request

    async def upsert(self, name: str, encoded: Any) -> None:
        encoded.collection_name = name
        await self._client.grpc_points.Upsert(encoded, timeout=self._seconds, metadata=trace_metadata())

    async def delete(self, name: str, stale: Sequence[tuple[int | None, Sequence[str]]]) -> None:
        operations = [
            wire.PointsUpdateOperation(
                delete_points=wire.PointsUpdateOperation.DeletePoints(
                    points=wire.PointsSelector(filter=points_before(revision, documents))
                )
            )
            for revision, documents in stale
        ]
        request = wire.UpdateBatchPoints(collection_name=name, wait=True, operations=operations)
        await self._client.grpc_points.UpdateBatch(request, timeout=self._seconds, metadata=trace_metadata())

    async def fetch(
        self, name: str, point_ids: Sequence[str], vectors: Sequence[str], form: TokenFormat
    ) -> Mapping[str, Point]:
        request = wire.GetPoints(
            collection_name=name,
            ids=point_ids_message(point_ids),
            with_payload=HIT_FIELDS,
            with_vectors=wire.WithVectorsSelector(include=wire.VectorsSelector(names=vectors))
            if vectors
            else _NO_VECTORS,
        )
        answer = await self._client.grpc_points.Get(request, timeout=self._seconds, metadata=trace_metadata())
        found = ((record.id.uuid, record) for record in answer.result)
        return {
            each: decode_point(each, plain_payload(record.payload), read_vectors(record.vectors.vectors.vectors), form)
            for each, record in found
        }

    async def read(self, name: str, point_ids: Sequence[str], keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        request = wire.GetPoints(
            collection_name=name,
            ids=point_ids_message(point_ids),
            with_payload=payload_selector(tuple(keys)),
            with_vectors=_NO_VECTORS,
        )
        answer = await self._client.grpc_points.Get(request, timeout=self._seconds, metadata=trace_metadata())
        return {record.id.uuid: plain_payload(record.payload) for record in answer.result}

    async def page(
        self, name: str, fields: Sequence[str], limit: int, offset: Any | None
    ) -> tuple[Sequence[tuple[str, Mapping[str, Any]]], Any | None]:
        request = wire.ScrollPoints(
            collection_name=name,
            offset=offset,
            limit=limit,
            with_payload=payload_selector(tuple(fields)),
            with_vectors=_NO_VECTORS,
        )
        answer = await self._client.grpc_points.Scroll(request, timeout=self._seconds, metadata=trace_metadata())
        records = [(record.id.uuid, plain_payload(record.payload)) for record in answer.result]
        return records, answer.next_page_offset if answer.HasField("next_page_offset") else None

    async def count(self, name: str) -> int:
        request = wire.CountPoints(collection_name=name, exact=True)
        answer = await self._client.grpc_points.Count(request, timeout=self._seconds, metadata=trace_metadata())
        return int(answer.result.count)

    async def metadata(self, name: str) -> Mapping[str, Any]:
        request = wire.GetCollectionInfoRequest(collection_name=name)
        answer = await self._client.grpc_collections.Get(request, timeout=self._seconds, metadata=trace_metadata())
        return plain_payload(answer.result.config.metadata)
