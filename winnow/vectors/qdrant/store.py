"""A Qdrant server or cluster as ``VectorStore``: one of its collections an index.

Many processes share a server. Each remembers the schemas that it has read; what another one changed meanwhile is found
out where it matters: by a filter on a field that is not known, and after every write (see ``upsert``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

from winnow.core.errors import InvalidFilter, UpstreamTooLong
from winnow.core.types import Filter, FloatArray, HalfArray
from winnow.ports import (
    ArmHits,
    DescribedPoint,
    IndexRef,
    IndexSchema,
    Point,
    PointHandle,
    PointKey,
    PointScores,
)
from winnow.vectors.keywords import NEWEST, encoder_of
from winnow.vectors.payloads import (
    ACCESS_POINT_FIELDS,
    DENSE,
    KEY_FIELDS,
    NAMES,
    SPARSE,
    TOKENS,
    decode_key,
    decode_point,
    named,
    query_tokens,
    query_vectors,
)
from winnow.vectors.points import check_points, ids_by_revision
from winnow.vectors.qdrant.batches import batches
from winnow.vectors.qdrant.indexes import UPDATES, ServerIndexes

FETCH_BATCH: Final = 64  # points with vectors in one answer
READ_BATCH: Final = 512  # points without them
DELETE_BATCH: Final = 256  # documents of one condition
DESCRIBE_BATCH: Final = 1000  # points without vectors and texts in one answer


class QdrantVectorStore(ServerIndexes):
    """Indexes on a server."""

    engine = "qdrant"
    keyword_tokenizer = NEWEST

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
        """Write a batch; in halves, and those in halves, where a server or a proxy takes no request of its size."""
        encoded = await asyncio.to_thread(self._calls.encode, batch, schema, encoder_of(schema.keywords))
        try:
            await self._server.call("writing points", index, lambda name: self._calls.upsert(name, encoded))
        except UpstreamTooLong:
            if len(batch) == 1:
                raise
            middle = len(batch) // 2
            await self._upsert(index, batch[:middle], schema)
            await self._upsert(index, batch[middle:], schema)

    async def flush(self, index: IndexRef) -> None:
        """Nothing is left to do: a write is acknowledged when it is in the server's write-ahead log."""
        await self._schema(index)

    async def delete_documents(self, index: IndexRef, keep: Mapping[str, int | None]) -> None:
        stale = [
            (revision, ids[begin : begin + DELETE_BATCH])
            for revision, ids in ids_by_revision(keep).items()
            for begin in range(0, len(ids), DELETE_BATCH)
        ]
        for begin in range(0, len(stale), UPDATES):
            work = partial(self._calls.delete, stale=stale[begin : begin + UPDATES])
            await self._server.call("deleting points", index, work)

    async def query(
        self,
        index: IndexRef,
        *,
        dense: FloatArray | None = None,
        text: str | None = None,
        name: str | None = None,
        limit: int,
        filter: Filter | None = None,
    ) -> ArmHits:
        schema = await self._schema(index)
        encoder = encoder_of(schema.keywords)
        arms = query_vectors(schema, dense, encoder.query(text), name=encoder.name(name))
        if not arms:
            return ArmHits()
        condition = None if filter is None else await self._condition(index, filter)
        work = partial(self._calls.search, arms=arms, limit=limit, condition=condition)
        found = dict(zip(arms, await self._server.call("searching", index, work), strict=True))
        return ArmHits(found.get(DENSE, ()), found.get(SPARSE, ()), named(found.get(NAMES, ())))

    async def matching(
        self, index: IndexRef, *, text: str | None = None, filter: Filter | None = None, limit: int
    ) -> Sequence[PointHandle]:
        schema = await self._schema(index)
        arms = query_vectors(schema, None, encoder_of(schema.keywords).query(text))
        if text is not None and not arms:
            return []
        condition = None if filter is None else await self._condition(index, filter)
        work = partial(self._calls.matching, arms=arms, limit=limit, condition=condition)
        return await self._server.call("searching", index, work)

    async def describe(self, index: IndexRef, points: Sequence[PointHandle]) -> Mapping[PointHandle, DescribedPoint]:
        fields = (await self._schema(index)).fields
        found: dict[str, DescribedPoint] = {}
        for begin in range(0, len(points), DESCRIBE_BATCH):
            ids = cast("Sequence[str]", points[begin : begin + DESCRIBE_BATCH])
            found |= await self._server.call(
                "reading points", index, partial(self._calls.describe, point_ids=ids, fields=fields)
            )
        return cast("Mapping[PointHandle, DescribedPoint]", found)

    async def score(
        self,
        index: IndexRef,
        point_ids: Sequence[str],
        *,
        dense: FloatArray | None = None,
        text: str | None = None,
        tokens: HalfArray | FloatArray | None = None,
    ) -> Mapping[str, PointScores]:
        schema = await self._schema(index)
        asked = query_tokens(schema, tokens)
        arms = query_vectors(schema, dense, encoder_of(schema.keywords).query(text), asked)
        found: Sequence[Mapping[str, float]] = []
        if point_ids and arms:
            work = partial(self._calls.score, arms=arms, point_ids=point_ids)
            found = await self._server.call("searching", index, work)
        scores = dict(zip(arms, found, strict=bool(found)))
        if asked is not None and TOKENS in scores:
            scores[TOKENS] = {each: asked.maxsim(score) for each, score in scores[TOKENS].items()}
        dense_scores, sparse_scores, maxsim = (scores.get(arm, {}) for arm in (DENSE, SPARSE, TOKENS))
        return {
            each: PointScores(dense_scores.get(each), sparse_scores.get(each), maxsim.get(each)) for each in point_ids
        }

    async def _condition(self, index: IndexRef, filter: Filter) -> Any:
        try:
            return self._calls.condition(filter, (await self._schema(index)).fields)
        except InvalidFilter:  # unless another process has declared the field
            return self._calls.condition(filter, (await self._read(index)).schema.fields)

    async def fetch(self, index: IndexRef, point_ids: Sequence[str]) -> Mapping[str, Point]:
        schema = await self._schema(index)
        vectors = [DENSE, TOKENS] if schema.token_dimensions else [DENSE]
        found: dict[str, Point] = {}
        for begin in range(0, len(point_ids), FETCH_BATCH):
            ids = point_ids[begin : begin + FETCH_BATCH]
            work = partial(self._calls.fetch, point_ids=ids, vectors=vectors, form=schema.tokens_as)
            found |= await self._server.call("fetching points", index, work)
        return found

    async def read(self, index: IndexRef, point_ids: Sequence[str]) -> Mapping[str, Point]:
        if not point_ids:
            return {}
        form = (await self._schema(index)).tokens_as
        work = partial(self._calls.fetch, point_ids=point_ids, vectors=(), form=form)
        return await self._server.call("reading points", index, work)

    async def read_with_access(self, index: IndexRef, point_ids: Sequence[str]) -> Mapping[str, Point]:
        found: dict[str, Point] = {}
        for begin in range(0, len(point_ids), READ_BATCH):
            ids = point_ids[begin : begin + READ_BATCH]
            work = partial(self._calls.read, point_ids=ids, keys=ACCESS_POINT_FIELDS)
            payloads = await self._server.call("reading points", index, work)
            found |= {each: decode_point(each, payload) for each, payload in payloads.items()}
        return found

    async def count(self, index: IndexRef) -> int:
        return await self._server.call("counting points", index, self._calls.count)

    async def keys(self, index: IndexRef) -> AsyncIterator[PointKey]:
        async for records in self._pages(index, KEY_FIELDS):
            for point_id, payload in records:
                yield decode_key(point_id, payload)
