"""Qdrant Edge as ``VectorStore``: the engine in this process, one shard an index.

Rules of the engine that shape this file: a call blocks its thread, and most of them the interpreter, so all calls are
made on one thread and writes are cut small; a second opener of a shard breaks the first, so the root is locked before
anything is loaded; ``update`` survives the death of the process (write-ahead log), ``flush`` a power cut.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from retrieval.errors import CollectionNotFound, IdentityMismatch, StorageFailure
from retrieval.lock import DirectoryLock
from retrieval.ports import ArmHits, IndexRef, IndexSchema, Point, PointKey, PointScores
from retrieval.settings.vectors import EdgeVectors
from retrieval.types import FieldType, Filter, FloatArray, HalfArray
from retrieval.vectors.bm25 import IDENTITY, KeywordEncoder
from retrieval.vectors.edge_errors import edge_errors
from retrieval.vectors.edge_layout import LOAD_RESERVE, WRITE_RESERVE, Layout, read_schema, shard_of
from retrieval.vectors.edge_shard import Shard, make_shard
from retrieval.vectors.optimize import Optimizer

POINT_BATCH: Final = 16  # points with vectors in one engine call: some 10 ms, for which a search may have to wait
DELETE_BATCH: Final = 256  # documents of one engine call
UNINDEXED_LIMIT: Final = 20_000  # vectors searched one by one (3 ms) beyond which an index is optimised at start

_P = ParamSpec("_P")
_T = TypeVar("_T")

log = logging.getLogger(__name__)


class EdgeVectorStore:
    """Indexes below one directory, which belongs to one process. Indexes are loaded when they are first used.

    With ``settings.optimize_on_start`` an index that has grown is optimised before its first use is answered: call
    ``check`` at start, so that this is over when serving begins.
    """

    engine = "qdrant-edge"
    keyword_tokenizer = IDENTITY

    def __init__(self, root: Path, settings: EdgeVectors) -> None:
        """Take the root and tidy what a crash left behind.

        Raises:
            DataDirectoryLocked: another process owns ``root``.
        """
        self._settings = settings
        self._layout = Layout(root)
        self._lock = DirectoryLock(self._layout.lock_file)
        try:
            with edge_errors("recovering from a crash"):
                self._layout.recover()
        except BaseException:
            self._lock.release()
            raise
        self._encoder = KeywordEncoder()
        self._optimizer = Optimizer()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="qdrant-edge")
        self._shards: dict[IndexRef, Shard] = {}  # touched by the thread alone
        self._schema_changes = asyncio.Lock()
        self._unflushed: set[IndexRef] = set()
        self._flusher: asyncio.Task[None] | None = None
        self._flush_failure: StorageFailure | None = None
        self._closed = False

    # --- indexes ---------------------------------------------------------------------------------

    async def create(self, index: IndexRef, schema: IndexSchema) -> None:
        async with self._schema_changes:
            added = await self._call(self._create, index, schema)
            if not added:
                return
            await self._on(index, Shard.declare, added)
            offset = await self._on(index, Shard.backfill, added, None)
            while offset is not None:
                offset = await self._on(index, Shard.backfill, added, offset)
            await self._on(index, Shard.keep_schema)

    async def drop(self, index: IndexRef) -> None:
        async with self._schema_changes:
            self._unflushed.discard(index)
            await self._call(self._drop, index)

    async def indexes(self) -> Sequence[IndexRef]:
        return await self._call(self._indexes)

    async def optimize(self, index: IndexRef) -> None:
        """Build the index's search graphs, in another process; everything else waits meanwhile."""
        await self._call(self._optimize, index)

    # --- points ----------------------------------------------------------------------------------

    async def upsert(self, index: IndexRef, points: Sequence[Point]) -> None:
        batches = _batches(points, POINT_BATCH)
        for batch in batches:
            await self._on(index, Shard.check, batch)
        for batch in batches:
            self._note_write(index)
            await self._call(self._upsert, index, batch)

    async def flush(self, index: IndexRef) -> None:
        self._unflushed.discard(index)
        try:
            await self._on(index, Shard.flush)
        except StorageFailure:
            self._note_write(index)
            raise

    async def delete_documents(self, index: IndexRef, keep: Mapping[str, int | None]) -> None:
        for batch in _batches(list(keep.items()), DELETE_BATCH):
            self._note_write(index)
            await self._on(index, Shard.delete_documents, dict(batch))

    async def query(
        self,
        index: IndexRef,
        *,
        dense: FloatArray | None = None,
        text: str | None = None,
        limit: int,
        filter: Filter | None = None,
    ) -> ArmHits:
        return await self._on(index, Shard.query, dense, text, limit, filter)

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
        return await self._on(index, Shard.score, point_ids, dense, text, tokens)

    async def fetch(self, index: IndexRef, point_ids: Sequence[str]) -> Mapping[str, Point]:
        found: dict[str, Point] = {}
        for batch in _batches(point_ids, POINT_BATCH):
            found.update(await self._on(index, Shard.fetch, batch))
        return found

    async def count(self, index: IndexRef) -> int:
        return await self._on(index, Shard.count)

    async def keys(self, index: IndexRef) -> AsyncIterator[PointKey]:
        page, following = await self._on(index, Shard.keys, None)
        while True:
            for key in page:
                yield key
            if following is None:
                return
            page, following = await self._on(index, Shard.keys, following)

    # --- life ------------------------------------------------------------------------------------

    async def check(self) -> None:
        for index in await self.indexes():
            await self._on(index, Shard.count)
        if self._flush_failure is not None:
            raise self._flush_failure

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._optimizer.stop()
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.wait([self._flusher])
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close_shards)
        finally:
            self._thread.shutdown()
            self._lock.release()

    async def _call(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run ``work`` on the engine's thread."""
        if self._closed:
            raise StorageFailure("the vector store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))

    async def _on(
        self, index: IndexRef, method: Callable[Concatenate[Shard, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Call a method of an index's shard on the engine's thread."""
        return await self._call(lambda: method(self._open(index), *args, **kwargs))

    # --- flushing --------------------------------------------------------------------------------

    def _note_write(self, index: IndexRef) -> None:
        self._unflushed.add(index)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.get_running_loop().create_task(self._flush_in_time())

    async def _flush_in_time(self) -> None:
        """Flush what was written until nothing is left. A failure is logged, kept for ``check`` and tried again."""
        while self._unflushed:
            await asyncio.sleep(self._settings.flush_seconds)
            failure: StorageFailure | None = None
            for index in sorted(self._unflushed, key=lambda each: (each.collection, each.generation)):
                try:
                    await self.flush(index)
                except StorageFailure as error:
                    log.exception("cannot flush the vectors of %s", index.collection)
                    failure = error
                except CollectionNotFound:
                    self._unflushed.discard(index)
            self._flush_failure = failure

    # --- on the engine's thread ------------------------------------------------------------------

    def _open(self, index: IndexRef) -> Shard:
        shard = self._shards.get(index)
        if shard is None:
            home = self._layout.home(index)
            if not home.exists():
                raise CollectionNotFound(f"there is no index for {index.collection!r}, generation {index.generation}")
            self._layout.require_space(LOAD_RESERVE)
            shard = self._shards[index] = Shard(home, self._encoder)
            if self._settings.optimize_on_start and shard.unindexed() > UNINDEXED_LIMIT:
                self._optimize(index)
                shard = self._shards[index] = Shard(home, self._encoder)
        return shard

    def _indexes(self) -> list[IndexRef]:
        with edge_errors("listing indexes"):
            return self._layout.indexes()

    def _upsert(self, index: IndexRef, points: Sequence[Point]) -> None:
        self._layout.require_space(WRITE_RESERVE)
        self._open(index).upsert(points)

    def _create(self, index: IndexRef, schema: IndexSchema) -> Mapping[str, FieldType]:
        """Make the index; where it is there, return the fields that it lacks."""
        home = self._layout.home(index)
        if home.exists():
            with edge_errors("reading a schema"):
                return _new_fields(index, read_schema(home), schema)
        self._layout.require_space(WRITE_RESERVE)
        with edge_errors("making an index"):
            new = self._layout.begin(index)
            make_shard(new, schema)
            self._layout.commit(index, new)
        return {}

    def _drop(self, index: IndexRef) -> None:
        shard = self._shards.pop(index, None)
        if shard is not None:
            shard.close()
        with edge_errors("deleting an index"):
            self._layout.drop(index)

    def _optimize(self, index: IndexRef) -> None:
        """Optimise a copy and put it in the original's place; without success the original stays in use."""
        shard = self._open(index)
        shard.flush()
        shard.close()
        del self._shards[index]
        log.info("optimising the vectors of %s", index.collection)
        try:
            with edge_errors("optimising an index"):
                copy = self._layout.copy(index)
                if not self._optimizer.run(shard_of(copy)):
                    raise StorageFailure("the optimising process did not succeed")
                self._layout.replace(index, copy)
        except StorageFailure as error:
            log.warning("the vectors of %s stay unoptimised, searches are slower: %s", index.collection, error)
            self._layout.recover()

    def _close_shards(self) -> None:
        """Flush and close every shard, also when one of them fails; the first failure is raised."""
        failures: list[StorageFailure] = []
        for shard in self._shards.values():
            for step in (shard.flush, shard.close):
                try:
                    step()
                except StorageFailure as error:
                    failures.append(error)
        self._shards.clear()
        if failures:
            raise failures[0]


def _batches(items: Sequence[_T], size: int) -> list[Sequence[_T]]:
    return [items[at : at + size] for at in range(0, len(items), size)]


def _new_fields(index: IndexRef, stored: IndexSchema, wanted: IndexSchema) -> Mapping[str, FieldType]:
    for name in ("dimensions", "token_dimensions"):
        if getattr(stored, name) != getattr(wanted, name):
            raise IdentityMismatch(
                f"the index of {index.collection!r} has {name} {getattr(stored, name)}, not {getattr(wanted, name)}; "
                "index its documents into a new one"
            )
    for key, kind in wanted.fields.items():
        if stored.fields.get(key, kind) != kind:
            raise IdentityMismatch(
                f"field {key!r} of {index.collection!r} is indexed as {stored.fields[key]}, not {kind}; "
                "declare it under another name"
            )
    return {key: kind for key, kind in wanted.fields.items() if key not in stored.fields}
