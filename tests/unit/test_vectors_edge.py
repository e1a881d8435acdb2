"""What surrounds the engine: error translation, names on disk, flushing, cancelled and concurrent calls."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import qdrant_edge

from tests.fakes import STORE
from winnow.core.errors import IndexLost, StorageFailure, StorageFull, UpstreamUnavailable, WinnowError
from winnow.core.settings import load_settings
from winnow.core.settings.vectors import EdgeVectors
from winnow.core.types import Chunk, Comparison
from winnow.ports import IndexRef, IndexSchema, Point
from winnow.testing.vectors import FakeVectorStore
from winnow.vectors.build import build_store
from winnow.vectors.edge import shard as edge_shard
from winnow.vectors.edge.engine import Engine
from winnow.vectors.edge.errors import edge_errors
from winnow.vectors.edge.layout import Layout
from winnow.vectors.edge.point_cache import KnownPoints
from winnow.vectors.edge.process import _fate
from winnow.vectors.edge.store import POINT_BATCH, EdgeVectorStore
from winnow.vectors.keywords import FIRST, NEWEST
from winnow.vectors.payloads import encode_payload

INDEX = IndexRef("c")


def make_points(count: int) -> list[Point]:
    return [
        Point(str(uuid.UUID(int=n)), f"d{n}", 1, Chunk(0, 0, 5, "amber"), dense=np.ones(4, np.float32))
        for n in range(count)
    ]


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EdgeVectorStore]:
    monkeypatch.setattr("winnow.vectors.edge.store.FLUSH_SECONDS", 0.01)
    store = EdgeVectorStore(tmp_path, EdgeVectors())
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


@pytest.mark.parametrize("raised", [IndexLost("x"), KeyboardInterrupt(), asyncio.CancelledError()])
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


async def test_a_damaged_index_is_lost_and_the_store_serves_the_others(tmp_path: Path, store: EdgeVectorStore) -> None:
    await store.close()
    (Layout(tmp_path).home(INDEX) / "shard" / "edge_config.json").write_text("{")
    damaged = EdgeVectorStore(tmp_path, EdgeVectors())
    with pytest.raises(IndexLost, match="loading"):
        await damaged.count(INDEX)
    await damaged.check()
    await damaged.close()


@pytest.mark.parametrize("share", [0.0, 0.999])
def test_an_optimised_index_with_a_cut_file_of_vectors_is_lost(tmp_path: Path, share: float) -> None:
    """The engine opens it without a word, and its points have no vectors."""
    engine = Engine(tmp_path, optimize_on_start=False)
    engine.create(INDEX, IndexSchema(4096))
    engine.upsert(INDEX, [replace(each, dense=np.ones(4096, np.float32)) for each in make_points(80)])
    engine.optimize(INDEX)
    engine.close()
    (matrix,) = Layout(tmp_path).home(INDEX).glob("shard/segments/*/vector_storage-dense/matrix.dat")
    sound = Engine(tmp_path, optimize_on_start=False)
    assert sound.damage(INDEX) is None
    assert sound.count(INDEX) == 80
    sound.close()
    os.truncate(matrix, int(matrix.stat().st_size * share))
    cut = Engine(tmp_path, optimize_on_start=False)
    assert "matrix.dat was cut" in (cut.damage(INDEX) or "")
    cut.close()


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "~lock", "a b", "a\n", "a\x00", "ü"])
def test_no_collection_name_leads_out_of_the_root(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="collection"):
        Layout(tmp_path).home(IndexRef(name))


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "...", ".lock", "g0001"])
def test_every_allowed_name_is_a_directory_below_the_root(tmp_path: Path, name: str) -> None:
    assert Layout(tmp_path).home(IndexRef(name, 12)) == tmp_path / name / "g0012"


# --- flushing ------------------------------------------------------------------------------------


class Calls:
    """Stands before the engine's process: sees every call, and answers some itself."""

    def __init__(self, store: EdgeVectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self._call = store._engine.call
        self.failing: dict[str, Exception] = {}
        self.unanswered: dict[str, Exception] = {}
        self.held: dict[str, asyncio.Event] = {}
        self.seen: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        monkeypatch.setattr(store._engine, "call", self)

    async def __call__(self, method: str, *arguments: Any) -> Any:
        self.seen[method].set()
        if method in self.failing:
            raise self.failing[method]
        answer = await self._call(method, *arguments)
        if method in self.held:
            await self.held[method].wait()
        if method in self.unanswered:
            raise self.unanswered[method]
        return answer


@pytest.fixture
def calls(store: EdgeVectorStore, monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(store, monkeypatch)


async def test_writes_are_flushed_in_time_without_being_asked(store: EdgeVectorStore, calls: Calls) -> None:
    await store.upsert(INDEX, make_points(1))
    await asyncio.wait_for(calls.seen["flush"].wait(), 30)


def test_after_a_failed_flush_the_shard_is_loaded_anew_and_flushed(tmp_path: Path) -> None:
    engine = Engine(tmp_path, optimize_on_start=False)
    engine.create(INDEX, IndexSchema(4))
    engine.upsert(INDEX, make_points(3))
    shard = engine._shards[INDEX]
    broken = BrokenShard(shard._shard)
    shard._shard = broken  # type: ignore[assignment]
    engine.flush(INDEX)
    assert broken.flushes == 1
    assert engine.count(INDEX) == 3
    engine.close()


def test_stored_payloads_are_read_ahead_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "segments" / "s" / "payload_storage"
    folder.mkdir(parents=True)
    for name, size in (("page_0.dat", 25), ("page_1.dat", 100)):
        (folder / name).write_bytes(bytes(size))
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _, *wish: asked.append(wish))
    monkeypatch.setattr(edge_shard, "_READ_AHEAD_BYTES", 40)
    monkeypatch.setattr(edge_shard, "_READ_AHEAD_STEP", 10)
    edge_shard._read_ahead(tmp_path)
    will_need = os.POSIX_FADV_WILLNEED
    assert asked == [(begin, 10, will_need) for begin in (0, 10, 20, 0, 10)]


def test_the_log_of_an_index_is_kept_in_small_files(tmp_path: Path) -> None:
    engine = Engine(tmp_path, optimize_on_start=False)
    engine.create(INDEX, IndexSchema(4))
    text = "amber " * 100_000
    for _ in range(4):  # 2.4 MB each
        engine.upsert(INDEX, [replace(each, chunk=Chunk(0, 0, len(text), text)) for each in make_points(4)])
        engine.flush(INDEX)
    engine.close()
    assert log_files(Layout(tmp_path).home(INDEX)) == [4 * 2**20] * 3


def test_an_index_with_a_log_of_large_files_goes_on_with_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bounded in (False, True):
        with monkeypatch.context() as patch:
            if not bounded:  # as earlier versions did
                patch.setattr(edge_shard, "bound_log", lambda _: None)
            engine = Engine(tmp_path, optimize_on_start=False)
            engine.create(INDEX, IndexSchema(4))
            engine.upsert(INDEX, make_points(3 + bounded))
            assert engine.count(INDEX) == 3 + bounded
            engine.close()
    home = Layout(tmp_path).home(INDEX)
    assert log_files(home) == [32 * 2**20] * 2
    assert orjson.loads((home / "shard" / "edge_config.json").read_bytes())["wal_options"]["segment_capacity"] == 2**22


def log_files(home: Path) -> list[int]:
    """The sizes of the files of an index's write-ahead log."""
    return [file.stat().st_size for file in (home / "shard" / "wal").glob("*-*[0-9]")]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are listed by Linux only")
def test_one_thread_searches_an_index(tmp_path: Path) -> None:
    before = search_threads()
    engine = Engine(tmp_path, optimize_on_start=False)
    engine.create(INDEX, IndexSchema(4))
    engine.upsert(INDEX, make_points(3))
    assert len(engine.query(INDEX, np.ones(4, np.float32), "amber", None, 3, None)) == 2
    assert len(search_threads() - before) == 1
    engine.close()


def search_threads() -> set[str]:
    tasks = Path("/proc/self/task").iterdir()
    return {task.name for task in tasks if (task / "comm").read_text().startswith("edge-search")}


@pytest.mark.parametrize("kind", [StorageFailure, UpstreamUnavailable])
async def test_a_flush_that_keeps_failing_is_reported_until_one_succeeds(
    store: EdgeVectorStore, calls: Calls, kind: type[WinnowError]
) -> None:
    calls.failing["flush"] = kind("the disk is gone")
    await store.upsert(INDEX, make_points(1))
    await asyncio.wait_for(calls.seen["flush"].wait(), 30)
    with pytest.raises(kind, match="the disk is gone"):
        await store.flush(INDEX)
    while store._flush_failure is None:
        await asyncio.sleep(0.01)
    with pytest.raises(kind, match="the disk is gone"):
        await store.check()
    del calls.failing["flush"]
    while store._flush_failure is not None:
        await asyncio.sleep(0.01)
    await store.check()


class BrokenShard:
    """An engine's shard that cannot flush."""

    def __init__(self, real: qdrant_edge.EdgeShard) -> None:
        self._real = real
        self.flushes = 0

    def flush(self) -> None:
        self.flushes += 1
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
    schema = await store._engine.call("schema", other)
    assert sorted(schema.fields) == [f"f{n}" for n in range(5)]


async def test_a_field_whose_adding_was_interrupted_is_added_by_the_next_call(
    store: EdgeVectorStore, calls: Calls
) -> None:
    await store.upsert(INDEX, [replace(point, metadata={"year": 7}) for point in make_points(3)])
    wanted = IndexSchema(4, 0, {"year": "integer"})
    calls.failing["backfill"] = StorageFailure("the disk is gone")
    with pytest.raises(StorageFailure):
        await store.create(INDEX, wanted)
    calls.failing.clear()
    await store.create(INDEX, wanted)
    found = await store.query(INDEX, text="amber", limit=9, filter=Comparison("eq", "year", 7))
    assert len(found.sparse) == 3


async def test_what_was_read_before_a_write_is_not_shown_after_it(store: EdgeVectorStore) -> None:
    for title in ("old", "new"):
        await store.upsert(INDEX, [replace(point, title=title) for point in make_points(3)])
        found = await store.query(INDEX, dense=np.ones(4, np.float32), limit=9)
        assert [hit.point.read().title for hit in found.dense] == [title] * 3


async def titles(store: EdgeVectorStore) -> list[str]:
    found = await store.query(INDEX, dense=np.ones(4, np.float32), limit=9)
    return [hit.point.read().title for hit in found.dense]


async def test_what_a_cancelled_caller_wrote_is_shown_all_the_same(store: EdgeVectorStore, calls: Calls) -> None:
    await store.upsert(INDEX, [replace(point, title="old") for point in make_points(1)])
    calls.seen.clear()
    calls.held = {"payloads": asyncio.Event(), "upsert": asyncio.Event()}
    reading = asyncio.create_task(titles(store))
    await calls.seen["payloads"].wait()
    writing = asyncio.create_task(store.upsert(INDEX, [replace(point, title="new") for point in make_points(1)]))
    await calls.seen["upsert"].wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    calls.held["payloads"].set()
    assert await reading == ["old"]
    calls.held["upsert"].set()
    await store.flush(INDEX)
    assert await titles(store) == ["new"]


async def test_what_was_written_is_shown_though_the_engine_died_before_it_said_so(
    store: EdgeVectorStore, calls: Calls
) -> None:
    await store.upsert(INDEX, [replace(point, title="old") for point in make_points(1)])
    assert await titles(store) == ["old"]
    calls.unanswered["upsert"] = UpstreamUnavailable("the engine died")
    with pytest.raises(UpstreamUnavailable):
        await store.upsert(INDEX, [replace(point, title="new") for point in make_points(1)])
    assert await titles(store) == ["new"]


async def test_deleting_one_document_does_not_make_the_others_be_read_again(
    store: EdgeVectorStore, calls: Calls
) -> None:
    await store.upsert(INDEX, make_points(3))
    assert len(await titles(store)) == 3
    calls.seen.clear()
    await store.delete_documents(INDEX, {"d0": None, "d1": 1})
    assert len(await titles(store)) == 2
    assert "payloads" not in calls.seen


def test_only_the_deleted_revisions_are_forgotten() -> None:
    points = [replace(point, revision=n) for point in make_points(2) for n in (1, 2)]
    known = KnownPoints()
    known.learn({n.to_bytes(16): encode_payload(point, {}) for n, point in enumerate(points)})
    known.forget_documents({"d0": 2, "other": None})
    assert list(known.among(n.to_bytes(16) for n in range(4))) == [n.to_bytes(16) for n in (1, 2, 3)]
    known.forget_documents({"d1": None})
    assert list(known.among(n.to_bytes(16) for n in range(4))) == [n.to_bytes(16) for n in (1,)]


# --- the engine's process ------------------------------------------------------------------------


def engine_of(store: EdgeVectorStore) -> subprocess.Popen[bytes]:
    process = store._engine._process
    assert process is not None
    return process


async def is_down(store: EdgeVectorStore) -> bool:
    """Ask until an answer says so."""
    while True:
        try:
            await store.count(INDEX)
        except UpstreamUnavailable:
            return True


async def test_when_the_engine_dies_callers_are_told_and_the_next_call_starts_it_again(store: EdgeVectorStore) -> None:
    await store.upsert(INDEX, make_points(3))
    victim = engine_of(store)
    victim.send_signal(signal.SIGSTOP)  # it takes calls, and answers none
    waiting = [asyncio.create_task(store.count(INDEX)) for _ in range(3)]
    await asyncio.sleep(0)
    victim.kill()
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, UpstreamUnavailable)
    assert await store.count(INDEX) == 3, "what was acknowledged is in the write-ahead log"
    assert engine_of(store).pid != victim.pid


async def test_an_engine_that_dies_over_and_over_is_left_alone_for_seconds(store: EdgeVectorStore) -> None:
    for _ in range(3):
        await store.count(INDEX)
        engine_of(store).kill()
        assert await is_down(store)
    with pytest.raises(UpstreamUnavailable, match="died 3 times within a minute") as caught:
        await store.count(INDEX)
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 10


async def test_an_engine_that_was_left_alone_is_started_again(
    store: EdgeVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winnow.vectors.edge.process._LONGEST_PAUSE", 0.0)
    for _ in range(4):
        assert await store.count(INDEX) == 0
        engine_of(store).kill()
        assert await is_down(store)


async def test_an_engine_that_cannot_be_started_is_an_error_that_may_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EdgeVectorStore(tmp_path, EdgeVectors())
    with monkeypatch.context() as patch:
        patch.setattr("sys.executable", str(tmp_path / "nothing"))
        with pytest.raises(UpstreamUnavailable, match=r"cannot be started.*No such file"):
            await store.check()
    await store.check()
    await store.close()


async def test_signals_to_the_whole_group_leave_the_engine_to_its_service(store: EdgeVectorStore) -> None:
    await store.upsert(INDEX, make_points(3))
    process = engine_of(store)
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process.send_signal(each)
    assert await store.count(INDEX) == 3
    assert engine_of(store) is process
    await store.close()
    assert process.poll() == 0


async def test_an_answer_that_cannot_be_read_keeps_nobody_waiting(
    store: EdgeVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.upsert(INDEX, make_points(3))
    damaged = engine_of(store)
    with monkeypatch.context() as patch:
        patch.setattr("winnow.vectors.edge.process.pickle.loads", lambda _: int("no number"))
        with pytest.raises(UpstreamUnavailable):
            await asyncio.wait_for(store.count(INDEX), 30)
    assert await store.count(INDEX) == 3
    assert engine_of(store) is not damaged


@pytest.mark.parametrize(
    ("status", "words"), [(1, "status 1"), (-signal.SIGBUS, "no space left"), (-signal.SIGSEGV, "Segmentation")]
)
def test_an_engine_s_death_is_told_in_words(status: int, words: str) -> None:
    assert words in _fate(status)


async def test_a_closed_store_says_so_and_has_ended_its_process(store: EdgeVectorStore) -> None:
    await store.count(INDEX)
    process = engine_of(store)
    await store.close()
    assert process.poll() == 0
    with pytest.raises(StorageFailure, match="closed"):
        await store.count(INDEX)


async def test_an_engine_that_does_not_answer_does_not_keep_the_store_from_closing(
    store: EdgeVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winnow.vectors.edge.process._CLOSE_SECONDS", 0.2)
    await store.count(INDEX)
    process = engine_of(store)
    process.send_signal(signal.SIGSTOP)
    await store.close()
    assert process.poll() == -signal.SIGKILL


# --- building ------------------------------------------------------------------------------------


async def test_settings_choose_the_store(tmp_path: Path) -> None:
    edge = build_store(load_settings(data_dir=tmp_path))
    assert isinstance(edge, EdgeVectorStore)
    assert (tmp_path / "vectors").is_dir()
    await edge.close()
    assert isinstance(build_store(load_settings(data_dir=tmp_path, vectors=STORE)), FakeVectorStore)


# --- forms of token vectors ----------------------------------------------------------------------


def test_an_index_of_an_earlier_version_keeps_its_token_vectors_as_halves(tmp_path: Path) -> None:
    """Its ``schema.json`` says nothing of their form. It is read, written and compared as it was made."""
    tokens = np.eye(4, dtype=np.float16)[:2]
    point = replace(make_points(1)[0], tokens=tokens)
    engine = Engine(tmp_path, optimize_on_start=False)
    engine.create(INDEX, IndexSchema(4, 4, tokens_as="float16"))
    engine.upsert(INDEX, [point])
    engine.close()
    file = Layout(tmp_path).home(INDEX) / "schema.json"
    earlier = orjson.loads(file.read_bytes())
    assert earlier.pop("tokens_as") == "float16"
    file.write_bytes(orjson.dumps(earlier))

    engine = Engine(tmp_path, optimize_on_start=False)
    assert engine.create(INDEX, IndexSchema(4, 4, {"lang": "keyword"})) == {"lang": "keyword"}
    engine.upsert(INDEX, [replace(make_points(2)[1], tokens=tokens)])
    assert engine.schema(INDEX).tokens_as == "float16"
    np.testing.assert_array_equal(engine.fetch(INDEX, [point.id])[point.id].tokens, tokens)
    both = [each.id for each in make_points(2)]
    assert engine.score(INDEX, both, None, None, tokens)["tokens"] == [2.0, 2.0]
    engine.close()


def test_an_index_of_an_earlier_version_is_written_and_searched_with_its_own_tokenizer(tmp_path: Path) -> None:
    """Its ``schema.json`` does not name the tokenizer. Points that are written later meet the earlier ones."""
    old, new = (replace(point, chunk=replace(point.chunk, text="копии файлов")) for point in make_points(2))
    engine = Engine(tmp_path, optimize_on_start=False)
    engine.create(INDEX, IndexSchema(4, keywords=FIRST))
    engine.upsert(INDEX, [old])
    engine.close()
    file = Layout(tmp_path).home(INDEX) / "schema.json"
    earlier = orjson.loads(file.read_bytes())
    assert earlier.pop("keywords") == FIRST
    file.write_bytes(orjson.dumps(earlier))

    engine = Engine(tmp_path, optimize_on_start=True)
    engine.create(INDEX, IndexSchema(4))
    engine.create(IndexRef("newer"), IndexSchema(4))
    engine.upsert(INDEX, [new])
    engine.upsert(IndexRef("newer"), [new])
    assert engine.schema(INDEX).keywords == FIRST
    assert engine.schema(IndexRef("newer")).keywords == NEWEST
    assert len(engine.query(INDEX, None, "файлов", None, 9, None)["bm25"].ids) == 2
    assert not engine.query(INDEX, None, "файл", None, 9, None)["bm25"].ids  # it does not know Russian endings
    assert engine.query(IndexRef("newer"), None, "файл", None, 9, None)["bm25"].ids
    engine.close()
