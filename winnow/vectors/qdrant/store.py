"""A Qdrant server or cluster as ``VectorStore``: one of its collections an index.

Many processes share a server. Each remembers the schemas that it has read; what another one changed meanwhile is found
out where it matters: by a filter on a field that is not known, and after every write (see ``upsert``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Final

from qdrant_client import AsyncQdrantClient, models

from winnow.core.errors import InvalidFilter
from winnow.core.settings.vectors import QdrantVectors
from winnow.core.types import Filter, FloatArray, HalfArray
from winnow.ports import ArmHits, IndexRef, IndexSchema, Point, PointKey, PointScores
from winnow.vectors.bm25 import IDENTITY, KeywordEncoder
from winnow.vectors.payloads import (
    DENSE,
    DOCUMENT_ID,
    KEY_FIELDS,
    POINT_FIELDS,
    REVISION,
    SPARSE,
    TOKENS,
    decode_key,
    query_tokens,
    query_vectors,
)
from winnow.vectors.points import check_points, ids_by_revision
from winnow.vectors.qdrant.codec import FILTERS, batches, decode_hits, decode_record, server_point, sparse_vector
from winnow.vectors.qdrant.indexes import ServerIndexes
from winnow.vectors.qdrant.schema import search_params

FETCH_BATCH: Final = 64  # points with vectors in one answer
DELETE_BATCH: Final = 256  # documents of one condition


class QdrantVectorStore(ServerIndexes):
    """Indexes on a server. ``client`` must speak as ``settings`` say and belongs to the store."""

    engine = "qdrant"
    keyword_tokenizer = IDENTITY

    def __init__(self, client: AsyncQdrantClient, settings: QdrantVectors) -> None:
        super().__init__(client, settings)
        self._encoder = KeywordEncoder()

    async def upsert(self, index: IndexRef, points: Sequence[Point]) -> None:
        """See the port. Points that were written while another process declared a field are written again with it."""
        schema = await self._schema(index)
        check_points(points, schema)
        while points:
            for batch in batches(points, as_json=not self._settings.prefer_grpc):
                await self._upsert(index, batch, schema)
            known, schema = schema, (await self._read(index)).schema
            if schema == known:
                return

    async def _upsert(self, index: IndexRef, batch: Sequence[Point], schema: IndexSchema) -> None:
        encoded = await asyncio.to_thread(lambda: [server_point(point, schema, self._encoder) for point in batch])
        await self._server.call("writing points", index, partial(self._client.upsert, points=encoded, wait=True))

    async def flush(self, index: IndexRef) -> None:
        """Nothing is left to do: a write is acknowledged when it is in the server's write-ahead log."""
        await self._schema(index)

    async def delete_documents(self, index: IndexRef, keep: Mapping[str, int | None]) -> None:
        stale = [
            _before(revision, ids[begin : begin + DELETE_BATCH])
            for revision, ids in ids_by_revision(keep).items()
            for begin in range(0, len(ids), DELETE_BATCH)
        ]
        deletes = [models.DeleteOperation(delete=models.FilterSelector(filter=each)) for each in stale]
        await self._update(index, "deleting points", deletes)

    async def query(
        self,
        index: IndexRef,
        *,
        dense: FloatArray | None = None,
        text: str | None = None,
        limit: int,
        filter: Filter | None = None,
    ) -> ArmHits:
        arms = query_vectors(await self._schema(index), dense, sparse_vector(self._encoder.query(text)))
        condition = None if filter is None else await self._condition(index, filter)
        params = search_params(self._settings, filtered=filter is not None)
        requests = [
            models.QueryRequest(
                query=arm, using=name, limit=limit, filter=condition, params=params, with_payload=POINT_FIELDS
            )
            for name, arm in arms.items()
        ]
        found = dict(zip(arms, map(decode_hits, await self._search(index, requests)), strict=True))
        return ArmHits(dense=found.get(DENSE, ()), sparse=found.get(SPARSE, ()))

    async def score(
        self,
        index: IndexRef,
        point_ids: Sequence[str],
        *,
        dense: FloatArray | None = None,
        text: str | None = None,
        tokens: HalfArray | FloatArray | None = None,
    ) -> Mapping[str, PointScores]:
        if not point_ids:
            return {}
        schema = await self._schema(index)
        asked = query_tokens(schema, tokens)
        arms = query_vectors(schema, dense, sparse_vector(self._encoder.query(text)), asked)
        only = models.Filter(must=[models.HasIdCondition(has_id=list(point_ids))])
        exact = models.SearchParams(exact=True, quantization=models.QuantizationSearchParams(ignore=True))
        requests = [
            models.QueryRequest(query=arm, using=name, limit=len(point_ids), filter=only, params=exact)
            for name, arm in arms.items()
        ]
        rows = zip(arms, await self._search(index, requests), strict=True)
        scores = {arm: {str(row.id): row.score for row in found} for arm, found in rows}
        if asked is not None:
            scores[TOKENS] = {each: asked.maxsim(score) for each, score in scores[TOKENS].items()}
        dense_scores, sparse_scores, maxsim = (scores.get(arm, {}) for arm in (DENSE, SPARSE, TOKENS))
        return {
            each: PointScores(dense_scores.get(each), sparse_scores.get(each), maxsim.get(each)) for each in point_ids
        }

    async def _search(
        self, index: IndexRef, requests: Sequence[models.QueryRequest]
    ) -> Sequence[Sequence[models.ScoredPoint]]:
        """Carry out all requests in one round trip."""
        if not requests:
            return []
        work = partial(self._client.query_batch_points, requests=requests)
        answers = await self._server.call("searching", index, work)
        return [answer.points for answer in answers]

    async def _condition(self, index: IndexRef, filter: Filter) -> models.Filter:
        try:
            return FILTERS.translate(filter, (await self._schema(index)).fields)
        except InvalidFilter:  # unless another process has declared the field
            return FILTERS.translate(filter, (await self._read(index)).schema.fields)

    async def fetch(self, index: IndexRef, point_ids: Sequence[str]) -> Mapping[str, Point]:
        schema = await self._schema(index)
        vectors = [DENSE, TOKENS] if schema.token_dimensions else [DENSE]
        found: dict[str, Point] = {}
        for begin in range(0, len(point_ids), FETCH_BATCH):
            ids = list(point_ids[begin : begin + FETCH_BATCH])
            work = partial(self._client.retrieve, ids=ids, with_payload=POINT_FIELDS, with_vectors=vectors)
            records = await self._server.call("fetching points", index, work)
            found |= {str(record.id): decode_record(record, schema.tokens_as) for record in records}
        return found

    async def count(self, index: IndexRef) -> int:
        return (await self._server.call("counting points", index, partial(self._client.count, exact=True))).count

    async def keys(self, index: IndexRef) -> AsyncIterator[PointKey]:
        async for records in self._pages(index, KEY_FIELDS):
            for record in records:
                yield decode_key(str(record.id), record.payload or {})


def _before(revision: int | None, document_ids: list[str]) -> models.Filter:
    """The points of these documents of revisions before this one."""
    theirs = models.FieldCondition(key=DOCUMENT_ID, match=models.MatchAny(any=document_ids))
    if revision is None:
        return models.Filter(must=[theirs])
    older = models.FieldCondition(key=REVISION, range=models.Range(lt=float(revision)))
    return models.Filter(must=[theirs, older])
