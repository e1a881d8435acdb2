"""Qdrant Edge as ``VectorStore``: the engine in a process of its own, one shard an index.

Rules of the engine that shape this file: calls are carried out one by one, so writes are cut small and only one is on
its way at a time, which a search may have to wait for; a second opener of a shard breaks the first, so the root is
locked before anything is loaded; ``update`` survives the death of a process (write-ahead log), ``flush`` a power cut.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from winnow.core.errors import IndexLost, UpstreamUnavailable, WinnowError
from winnow.core.lock import DirectoryLock
from winnow.core.settings.vectors import EdgeVectors
from winnow.core.types import Filter, FloatArray, HalfArray
from winnow.ports import (
    ArmHits,
    DescribedPoint,
    FoundPoint,
    Hit,
    IndexRef,
    IndexSchema,
    Point,
    PointHandle,
    PointKey,
    PointScores,
)
from winnow.vectors.edge.layout import Layout
from winnow.vectors.edge.point_cache import KnownPoints, bytes_of_id
from winnow.vectors.edge.process import EngineProcess
from winnow.vectors.edge.rebuild import Clearing, optimized_copy
from winnow.vectors.edge.shard import ArmRows
from winnow.vectors.keywords import NEWEST
from winnow.vectors.payloads import ACCESS_POINT_FIELDS, DENSE, NAMES, SPARSE, TOKENS, decode_point, named, ranked
from winnow.vectors.points import check_points, has_values

POINT_BATCH: Final = 16  # points with vectors in one engine call: some 10 ms, for which a search may have to wait
DELETE_BATCH: Final = 256  # documents of one engine call
DESCRIBE_BATCH: Final = 500  # points of one engine call: some 3 ms, for which a search may have to wait
READ_BATCH: Final = 256  # points without vectors in one engine call: some 5 ms
FLUSH_SECONDS: Final = 2.0  # longest time that a write stays unflushed, unless its writer asks for it
LOCK_SECONDS: Final = 10.0  # how long a process that died may have left the root locked, unless its engine lives

_T = TypeVar("_T")

log = logging.getLogger(__name__)


class EdgeVectorStore:
    """Indexes below one directory, which belongs to one process. Indexes are loaded when they are first used.

    With ``settings.optimize_on_start`` an index that has grown is optimised before its first use is answered: call
    ``check`` at start, so that this is over when serving begins.
    """

    engine = "qdrant-edge"
    keyword_tokenizer = NEWEST

    def __init__(self, root: Path, settings: EdgeVectors) -> None:
        """Take the root; the engine starts with the first call and tidies what a crash left behind.

        Raises:
            DataDirectoryLocked: another process owns ``root``.
        """
        self._root = root
        self._lock = DirectoryLock(Layout(root).lock_file, patience=LOCK_SECONDS)
        self._engine = EngineProcess(root, self._lock, optimize_on_start=settings.optimize_on_start)
        self._points: dict[IndexRef, KnownPoints] = {}
        self._schemas: dict[IndexRef, IndexSchema] = {}
        self._schema_changes = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._unflushed: set[IndexRef] = set()
        self._flusher: asyncio.Task[None] | None = None
        self._flush_failure: WinnowError | None = None
        self._clearing = Clearing(self.optimize)

    async def create(self, index: IndexRef, schema: IndexSchema) -> None:
        async with self._schema_changes:
            added = await self._engine.call("create", index, schema)
            if not added:
                return
            self._schemas.pop(index, None)
            await self._engine.call("declare", index, added)
            offset: Any = None
            while (
                has_values(added) and (offset := await self._engine.call("backfill", index, added, offset)) is not None
            ):
                pass
            await self._engine.call("keep_schema", index)

    async def drop(self, index: IndexRef) -> None:
        async with self._schema_changes:
            self._unflushed.discard(index)
            self._schemas.pop(index, None)
            await self._engine.call("drop", index)
            self._points.pop(index, None)

    async def indexes(self) -> Sequence[IndexRef]:
        return cast("list[IndexRef]", await self._engine.call("indexes"))

    async def lost(self, indexes: Sequence[IndexRef]) -> Mapping[IndexRef, str]:
        found = {index: cast("str | None", await self._engine.call("damage", index)) for index in indexes}
        return {index: reason for index, reason in found.items() if reason is not None}

    async def set_aside(self, index: IndexRef) -> str | None:
        async with self._schema_changes, self._writing:
            self._unflushed.discard(index)
            self._schemas.pop(index, None)
            self._points.pop(index, None)
            return cast("str | None", await self._engine.call("set_aside", index))

    async def optimize(self, index: IndexRef) -> bool:
        """Build the index's search graphs and free the space of deleted points: writes wait, searches go on.

        Returns:
            Whether more points are dead than not, as before.

        Raises:
            StorageFailure: it failed, for example for want of space; the index is as it was.
            UpstreamUnavailable: the engine died meanwhile; the index is as it was.
        """
        async with self._schema_changes, self._writing:
            await self._engine.call("flush", index)
            starts = self._engine.starts
            copy = await optimized_copy(self._root, index)
            if self._engine.starts != starts:
                raise UpstreamUnavailable("the vector engine died while an index was copied")
            await self._engine.call("replace", index, copy)  # an engine that starts with this call has deleted the copy
            return cast("bool", await self._engine.call("flush", index))

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[Path]:
        """Yield the directory of all indexes, in which nothing changes until the end: writes wait, searches do not.

        Raises:
            UpstreamUnavailable: the engine died meanwhile, and may have changed files as it was started again.
        """
        async with self._schema_changes, self._writing:
            for index in await self.indexes():
                await self._engine.call("flush", index)
            starts = self._engine.starts
            yield self._root
            if self._engine.starts != starts:
                raise UpstreamUnavailable("the vector engine died while its files were copied; try again")

    async def upsert(self, index: IndexRef, points: Sequence[Point]) -> None:
        schema = self._schemas.get(index)
        if schema is None:
            schema = self._schemas[index] = await self._engine.call("schema", index)
        check_points(points, schema)
        for batch in _batches(points, POINT_BATCH):
            await self._write("upsert", index, batch, partial(KnownPoints.forget, points=batch))

    async def flush(self, index: IndexRef) -> None:
        async with self._writing:
            self._unflushed.discard(index)
            try:
                littered = await self._engine.call("flush", index)
            except IndexLost:
                raise
            except BaseException:  # also after a cancellation: the result is unknown
                self._note_write(index)
                raise
        if littered:
            self._clearing.begin(index)

    async def delete_documents(self, index: IndexRef, keep: Mapping[str, int | None]) -> None:
        for batch in _batches(list(keep.items()), DELETE_BATCH):
            kept = dict(batch)
            await self._write("delete_documents", index, kept, partial(KnownPoints.forget_documents, keep=kept))

    async def _write(self, method: str, index: IndexRef, what: object, forget: Callable[[KnownPoints], None]) -> None:
        """Carry out a write to its end, also when its caller is cancelled: what was sent cannot be taken back."""

        async def write() -> None:
            async with self._writing:
                self._note_write(index)
                try:
                    await self._engine.call(method, index, what)
                finally:
                    forget(self._known(index))

        await asyncio.shield(asyncio.create_task(write()))

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
        found: Mapping[str, ArmRows] = await self._engine.call("query", index, dense, text, name, limit, filter)
        points = await self._read(index, dict.fromkeys(chain.from_iterable(rows.ids for rows in found.values())))
        arms = {arm: _hits(rows, points) for arm, rows in found.items()}
        return ArmHits(arms.get(DENSE, ()), arms.get(SPARSE, ()), named(arms.get(NAMES, ())))

    async def matching(
        self, index: IndexRef, *, text: str | None = None, filter: Filter | None = None, limit: int
    ) -> Sequence[PointHandle]:
        return cast("list[PointHandle]", await self._engine.call("matching", index, text, filter, limit))

    async def describe(self, index: IndexRef, points: Sequence[PointHandle]) -> Mapping[PointHandle, DescribedPoint]:
        found: dict[PointHandle, DescribedPoint] = {}
        for batch in _batches(points, DESCRIBE_BATCH):
            found |= await self._engine.call("describe", index, batch)
        return found

    async def _read(self, index: IndexRef, ids: Iterable[bytes]) -> Mapping[bytes, FoundPoint]:
        """The points of these ids without vectors; those that were deleted meanwhile are left out."""
        points = self._known(index).among(ids)
        missing = [each for each in ids if each not in points]
        if missing:
            points |= self._known(index).learn(await self._engine.call("payloads", index, missing))
        return points

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
        columns: Mapping[str, Sequence[float | None]] = await self._engine.call(
            "score", index, point_ids, dense, text, tokens
        )
        nothing = [None] * len(point_ids)
        arms = (columns.get(arm, nothing) for arm in (DENSE, SPARSE, TOKENS))
        return {each: PointScores(*scores) for each, *scores in zip(point_ids, *arms, strict=True)}

    async def fetch(self, index: IndexRef, point_ids: Sequence[str]) -> Mapping[str, Point]:
        found: dict[str, Point] = {}
        for batch in _batches(point_ids, POINT_BATCH):
            found.update(await self._engine.call("fetch", index, batch))
        return found

    async def read(self, index: IndexRef, point_ids: Sequence[str]) -> Mapping[str, Point]:
        found = await self._read(index, [bytes_of_id(each) for each in point_ids])
        return {each.id: each.read() for each in found.values()}

    async def read_with_access(self, index: IndexRef, point_ids: Sequence[str]) -> Mapping[str, Point]:
        found: dict[str, Point] = {}
        for batch in _batches([bytes_of_id(each) for each in point_ids], READ_BATCH):
            payloads = await self._engine.call("payloads", index, batch, ACCESS_POINT_FIELDS)
            points = (decode_point(str(uuid.UUID(bytes=key)), payload) for key, payload in payloads.items())
            found |= {point.id: point for point in points}
        return found

    async def count(self, index: IndexRef) -> int:
        return cast("int", await self._engine.call("count", index))

    async def keys(self, index: IndexRef) -> AsyncIterator[PointKey]:
        following: Any = None
        while True:
            page, following = await self._engine.call("keys", index, following)
            for key in page:
                yield key
            if following is None:
                return

    def _known(self, index: IndexRef) -> KnownPoints:
        return self._points.setdefault(index, KnownPoints())

    async def check(self) -> None:
        for index in await self.indexes():
            with suppress(IndexLost):  # of which the others know nothing
                await self.count(index)
        if self._flush_failure is not None:
            raise self._flush_failure

    async def close(self) -> None:
        await self._clearing.close()
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.wait([self._flusher])
        try:
            await self._engine.close()
        finally:
            self._lock.release()

    def _note_write(self, index: IndexRef) -> None:
        self._unflushed.add(index)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.get_running_loop().create_task(self._flush_in_time())

    async def _flush_in_time(self) -> None:
        """Flush what was written until nothing is left. A failure is logged, kept for ``check`` and tried again."""
        while self._unflushed:
            await asyncio.sleep(FLUSH_SECONDS)
            failure: WinnowError | None = None
            for index in sorted(self._unflushed, key=lambda each: (each.collection, each.generation)):
                try:
                    await self.flush(index)
                except IndexLost:
                    self._unflushed.discard(index)
                except WinnowError as error:
                    log.warning("the vectors of %s are flushed later: %s", index.collection, error.message)
                    failure = error
            self._flush_failure = failure


def _batches(items: Sequence[_T], size: int) -> list[Sequence[_T]]:
    return [items[at : at + size] for at in range(0, len(items), size)]


def _hits(rows: ArmRows, points: Mapping[bytes, FoundPoint]) -> tuple[Hit, ...]:
    """The rows of one arm with their points, best first, ties by id."""
    found = zip(rows.ids, rows.scores, strict=True)
    return ranked([Hit(points[each], score) for each, score in found if each in points])
