"""What surrounds the engine: error translation, names on disk, flushing, cancelled and concurrent calls."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import qdrant_edge

from retrieval.errors import CollectionNotFound, StorageFailure, StorageFull
from retrieval.ports import IndexRef, IndexSchema, Point
from retrieval.settings import load_settings
from retrieval.settings.vectors import EdgeVectors
from retrieval.types import Chunk, Comparison
from retrieval.vectors.build import build_store
from retrieval.vectors.edge import POINT_BATCH, EdgeVectorStore
from retrieval.vectors.edge_errors import edge_errors
from retrieval.vectors.edge_layout import Layout
from retrieval.vectors.edge_shard import Shard
from retrieval.vectors.fake import FakeVectorStore

INDEX = IndexRef("c")


def make_points(count: int) -> list[Point]:
    return [
        Point(str(uuid.UUID(int=n)), f"d{n}", 1, Chunk(0, 0, 5, "amber"), dense=np.ones(4, np.float32))
        for n in range(count)
    ]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EdgeVectorStore]:
    store = EdgeVectorStore(tmp_path, EdgeVectors(flush_seconds=0.01))
    await store.create(INDEX, IndexSchema(4))
    yield store
    await store.close()


class PanicException(BaseException):
    """Stands for what the engine raises when it panics."""


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (Exception("Service runtime error: failed to open WAL"), StorageFailure),
        (Exception("IO Error: No space left on device (os error 28)"), StorageFull),
        (OSError(28, "No space left on device"), StorageFull),
        (OSError(5, "Input/output error"), StorageFailure),
        (TypeError("failed to extract enum Helper"), StorageFailure),
        (PanicException("called `Option::unwrap()` on a `None` value"), StorageFailure),
    ],
)
def test_whatever_the_engine_raises_becomes_one_of_our_errors(
    raised: BaseException, expected: type[StorageFailure]
) -> None:
    with pytest.raises(StorageFailure, match="doing something") as caught, edge_errors("doing something"):
        raise raised
    assert type(caught.value) is expected
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize("raised", [CollectionNotFound("x"), KeyboardInterrupt(), asyncio.CancelledError()])
def test_our_own_errors_and_interrupts_pass_through(raised: BaseException) -> None:
    with pytest.raises(type(raised)) as caught, edge_errors("doing something"):
        raise raised
    assert caught.value is raised


async def test_what_the_real_engine_refuses_is_translated(tmp_path: Path, store: EdgeVectorStore) -> None:
    shard = Layout(tmp_path).home(INDEX) / "shard"
    assert await store.count(INDEX) == 0  # it is loaded now
    with pytest.raises(StorageFailure, match="WAL"), edge_errors("loading an index"):
        qdrant_edge.EdgeShard.load(str(shard))
    with pytest.raises(StorageFailure, match="does not exist"), edge_errors("loading an index"):
        qdrant_edge.EdgeShard.load(str(tmp_path / "nowhere"))


async def test_a_damaged_index_is_a_storage_failure(tmp_path: Path, store: EdgeVectorStore) -> None:
    await store.close()
    (Layout(tmp_path).home(INDEX) / "shard" / "edge_config.json").write_text("{")
    damaged = EdgeVectorStore(tmp_path, EdgeVectors())
    with pytest.raises(StorageFailure, match="loading"):
        await damaged.check()
    await damaged.close()


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "~lock", "a b", "a\n", "a\x00", "ü"])
def test_no_collection_name_leads_out_of_the_root(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="collection"):
        Layout(tmp_path).home(IndexRef(name))


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "...", ".lock", "g0001"])
def test_every_allowed_name_is_a_directory_below_the_root(tmp_path: Path, name: str) -> None:
    assert Layout(tmp_path).home(IndexRef(name, 12)) == tmp_path / name / "g0012"


# --- flushing ------------------------------------------------------------------------------------


async def test_writes_are_flushed_in_time_without_being_asked(
    store: EdgeVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = asyncio.Event()
    loop, flush = asyncio.get_running_loop(), Shard.flush

    def noted(shard: Shard) -> None:
        flush(shard)
        loop.call_soon_threadsafe(flushed.set)

    monkeypatch.setattr(Shard, "flush", noted)
    await store.upsert(INDEX, make_points(1))
    await asyncio.wait_for(flushed.wait(), 30)


async def test_after_a_failed_flush_the_shard_is_loaded_anew_and_flushed(store: EdgeVectorStore) -> None:
    await store.upsert(INDEX, make_points(3))
    broken = BrokenShard(failures=1)
    real = await store._on(INDEX, lambda shard: shard._shard)
    await store._on(INDEX, lambda shard: setattr(shard, "_shard", broken.around(real)))
    await store.flush(INDEX)
    assert broken.failures == 0
    assert await store.count(INDEX) == 3


async def test_a_flush_that_keeps_failing_is_reported_until_one_succeeds(
    store: EdgeVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = asyncio.Event()
    loop, flush = asyncio.get_running_loop(), Shard.flush

    def broken(shard: Shard) -> None:
        loop.call_soon_threadsafe(failed.set)
        raise StorageFailure("the disk is gone")

    monkeypatch.setattr(Shard, "flush", broken)
    await store.upsert(INDEX, make_points(1))
    await asyncio.wait_for(failed.wait(), 30)
    with pytest.raises(StorageFailure, match="the disk is gone"):
        await store.flush(INDEX)
    while store._flush_failure is None:
        await asyncio.sleep(0.01)
    with pytest.raises(StorageFailure, match="the disk is gone"):
        await store.check()
    monkeypatch.setattr(Shard, "flush", flush)
    while store._flush_failure is not None:
        await asyncio.sleep(0.01)
    await store.check()


class BrokenShard:
    """An engine's shard whose flush fails a number of times."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def around(self, real: qdrant_edge.EdgeShard) -> BrokenShard:
        self._real = real
        return self

    def flush(self) -> None:
        self.failures -= 1
        raise Exception("WAL flush failed")

    def close(self) -> None:
        self._real.close()


# --- concurrency ---------------------------------------------------------------------------------


async def test_a_search_does_not_wait_for_a_long_batch_of_writes(store: EdgeVectorStore) -> None:
    writing = asyncio.create_task(store.upsert(INDEX, make_points(200 * POINT_BATCH)))
    await asyncio.sleep(0)
    while (count := await store.count(INDEX)) == 0:
        pass
    assert count < 200 * POINT_BATCH
    found = await store.query(INDEX, dense=np.ones(4, np.float32), limit=1)
    assert found.dense
    await writing
    assert await store.count(INDEX) == 200 * POINT_BATCH


async def test_a_cancelled_call_leaves_the_store_usable(store: EdgeVectorStore) -> None:
    writing = asyncio.create_task(store.upsert(INDEX, make_points(50 * POINT_BATCH)))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await store.upsert(INDEX, make_points(50 * POINT_BATCH))
    assert await store.count(INDEX) == 50 * POINT_BATCH


async def test_one_index_can_be_made_by_many_at_once(store: EdgeVectorStore) -> None:
    other = IndexRef("other")
    await asyncio.gather(*(store.create(other, IndexSchema(4, 0, {f"f{n}": "keyword"})) for n in range(5)))
    await store.upsert(other, make_points(1))
    assert await store.count(other) == 1
    schema = await store._on(other, lambda shard: shard.schema)
    assert sorted(schema.fields) == [f"f{n}" for n in range(5)]


async def test_a_field_whose_adding_was_interrupted_is_added_by_the_next_call(
    store: EdgeVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.upsert(INDEX, [replace(point, metadata={"year": 7}) for point in make_points(3)])
    wanted = IndexSchema(4, 0, {"year": "integer"})

    def broken(*_: object) -> None:
        raise StorageFailure("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Shard, "backfill", broken)
        with pytest.raises(StorageFailure):
            await store.create(INDEX, wanted)
    await store.create(INDEX, wanted)
    found = await store.query(INDEX, text="amber", limit=9, filter=Comparison("eq", "year", 7))
    assert len(found.sparse) == 3


# --- building ------------------------------------------------------------------------------------


async def test_settings_choose_the_store(tmp_path: Path) -> None:
    edge = build_store(load_settings(data_dir=tmp_path))
    assert isinstance(edge, EdgeVectorStore)
    assert (tmp_path / "vectors").is_dir()
    await edge.close()
    assert isinstance(build_store(load_settings(data_dir=tmp_path, vectors={"provider": "fake"})), FakeVectorStore)
