"""Qdrant Edge under kill -9, crashes in mid-change, a full disk, a second opener. Run as a program it is the victim."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from winnow.core.errors import DataDirectoryLocked, StorageFailure, StorageFull
from winnow.core.settings.vectors import EdgeVectors
from winnow.core.types import Chunk, Comparison
from winnow.ports import IndexRef, IndexSchema, Point
from winnow.vectors.edge import store as edge_store
from winnow.vectors.edge.engine import Engine
from winnow.vectors.edge.layout import Layout, inode_of, segments_of
from winnow.vectors.edge.rebuild import optimized_copy
from winnow.vectors.edge.shard import LITTER_LIMIT, Shard
from winnow.vectors.edge.store import EdgeVectorStore

INDEX = IndexRef("c")
SCHEMA = IndexSchema(4, 4, {"lang": "keyword"})
CHUNKS = 3
DOCUMENTS = 20
KILLS = 4
OPEN = (
    "from pathlib import Path; from winnow.core.settings import EdgeVectors; from winnow.vectors.edge.store import *; "
)


def points_of(document: str, revision: int) -> list[Point]:
    space = uuid.UUID(int=0)
    return [
        Point(
            id=str(uuid.uuid5(space, f"{document}/{revision}/{index}")),
            document_id=document,
            revision=revision,
            chunk=Chunk(index, 0, 5, f"word{revision}"),
            dense=np.array([1, 0, 0, 0], np.float32),
            tokens=np.eye(4, dtype=np.float16),
            metadata={"lang": "en"},
        )
        for index in range(CHUNKS)
    ]


async def optimize_forever(store: EdgeVectorStore) -> None:
    while True:
        await store.optimize(INDEX)


async def write_forever(root: Path, acknowledged: Path, flush_seconds: float, *, optimizing: bool) -> None:
    """Write ever new revisions and delete the old ones; note on stable storage what the store has acknowledged."""
    edge_store.FLUSH_SECONDS = flush_seconds
    store = EdgeVectorStore(root, EdgeVectors())
    await store.create(INDEX, SCHEMA)
    rebuilding = asyncio.create_task(optimize_forever(store)) if optimizing else None
    revisions = Counter(line.split()[1] for line in acknowledged.read_text().splitlines() if line.startswith("wrote"))
    choice = random.Random(sum(revisions.values()))
    with acknowledged.open("a") as log:
        while True:
            document = f"d{choice.randrange(DOCUMENTS)}"
            revisions[document] += 1
            await store.upsert(INDEX, points_of(document, revisions[document]))
            acknowledge(log.fileno(), f"wrote {document} {revisions[document]}\n")
            await store.delete_documents(INDEX, {document: revisions[document]})
            acknowledge(log.fileno(), f"deleted {document} {revisions[document]}\n")
            assert rebuilding is None or not rebuilding.done(), rebuilding


def acknowledge(log: int, line: str) -> None:
    os.write(log, line.encode())
    os.fsync(log)


@contextmanager
def python(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, *arguments], env=env, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_lines(file: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Until the victim has acknowledged so much; fails when it dies by itself."""
    while len(file.read_bytes().splitlines()) < count:
        assert process.poll() is None, "the writer died by itself"
        time.sleep(0.002)


async def require_everything_acknowledged(store: EdgeVectorStore, acknowledged: Path) -> None:
    """Each document's last acknowledged revision is whole, and no revision is left whose deletion was acknowledged."""
    last: dict[tuple[str, str], int] = {}
    for line in acknowledged.read_text().splitlines():
        action, document, revision = line.split()
        last[action, document] = int(revision)
    keys = [key async for key in store.keys(INDEX)]
    assert len({key.id for key in keys}) == len(keys) == await store.count(INDEX)
    stored = Counter((key.document_id, key.revision) for key in keys)
    for (action, document), revision in last.items():
        if action == "wrote":
            assert stored[document, revision] == CHUNKS
        else:
            assert not [each for each in stored if each[0] == document and each[1] < revision]
    for document, revision in stored:
        assert revision <= last.get(("wrote", document), 0) + 1


@pytest.mark.parametrize(("flush_seconds", "optimizing"), [(0.05, ""), (3600.0, ""), (3600.0, "optimizing")])
async def test_what_was_acknowledged_survives_kill_9_exactly_once(
    tmp_path: Path, flush_seconds: float, optimizing: str
) -> None:
    root, acknowledged = tmp_path / "vectors", tmp_path / "acknowledged"
    acknowledged.touch()
    rng = random.Random(int(flush_seconds))
    written = 0
    for kill in range(KILLS):
        with python(__file__, str(root), str(acknowledged), str(flush_seconds), optimizing) as writer:
            wait_for_lines(acknowledged, written + rng.randrange(*((1, 4) if optimizing else (40, 400))), writer)
            time.sleep(rng.random() * (1.0 if optimizing else 0.02))  # a random moment within a write or a rebuild
            if kill % 2:
                os.killpg(writer.pid, signal.SIGKILL)
            else:
                writer.send_signal(signal.SIGKILL)  # its engine lives on for a moment
        written = len(acknowledged.read_bytes().splitlines())
        store = EdgeVectorStore(root, EdgeVectors())
        try:
            await require_everything_acknowledged(store, acknowledged)
            found = await store.query(INDEX, text="word1", dense=np.ones(4, np.float32), limit=10)
            assert found.dense
        finally:
            await store.close()


async def test_a_second_process_is_refused_and_the_owner_keeps_working(tmp_path: Path) -> None:
    store = EdgeVectorStore(tmp_path, EdgeVectors())
    await store.create(INDEX, SCHEMA)
    await store.upsert(INDEX, points_of("a", 1))
    attempt = OPEN + (
        "from winnow.core.errors import DataDirectoryLocked\n"
        f"try: EdgeVectorStore(Path({str(tmp_path)!r}), EdgeVectors())\n"
        "except DataDirectoryLocked as error: print('refused', error.pid)"
    )
    with python("-c", attempt) as second:
        output, _ = await asyncio.to_thread(second.communicate)
    assert output.split() == ["refused", str(os.getpid())]
    await store.upsert(INDEX, points_of("b", 1))
    await store.flush(INDEX)
    assert await store.count(INDEX) == 2 * CHUNKS
    await store.close()


async def test_what_was_written_is_there_after_closing_and_opening(tmp_path: Path) -> None:
    for revision in (1, 2):
        store = EdgeVectorStore(tmp_path, EdgeVectors())
        await store.create(INDEX, SCHEMA)
        assert await store.count(INDEX) == (revision - 1) * CHUNKS
        await store.upsert(INDEX, points_of("a", revision))
        await store.close()
    store = EdgeVectorStore(tmp_path, EdgeVectors())
    found = await store.query(INDEX, text="word2", limit=10, filter=Comparison("eq", "lang", "en"))
    assert len(found.sparse) == CHUNKS
    await store.close()


async def test_the_lock_is_free_after_closing_and_a_closed_store_says_so(tmp_path: Path) -> None:
    store = EdgeVectorStore(tmp_path, EdgeVectors())
    with pytest.raises(DataDirectoryLocked):
        EdgeVectorStore(tmp_path, EdgeVectors())
    await store.close()
    with pytest.raises(StorageFailure, match="closed"):
        await store.count(INDEX)
    await EdgeVectorStore(tmp_path, EdgeVectors()).close()


async def test_an_optimised_index_answers_as_before_and_takes_writes(tmp_path: Path) -> None:
    store = EdgeVectorStore(tmp_path, EdgeVectors())
    index, schema = IndexRef("grown"), IndexSchema(384)
    await store.create(index, schema)
    vectors = np.random.default_rng(1).standard_normal((800, 384)).astype(np.float32)
    points = [
        Point(str(uuid.UUID(int=n + 1)), f"d{n}", 1, Chunk(0, 0, 4, f"word{n}"), dense=vector)
        for n, vector in enumerate(vectors)
    ]
    await store.upsert(index, points)
    before = await store.query(index, dense=vectors[7], text="word7", limit=5)
    await store.optimize(index)
    after = await store.query(index, dense=vectors[7], text="word7", limit=5)
    assert [hit.point.read() for hit in after.sparse] == [hit.point.read() for hit in before.sparse]
    assert after.dense[0].point.read() == before.dense[0].point.read()
    await store.upsert(index, [Point(str(uuid.UUID(int=9999)), "new", 1, Chunk(0, 0, 4, "fresh"), dense=vectors[7])])
    assert await store.count(index) == 801
    assert sorted(entry.name for entry in (tmp_path / "grown").iterdir()) == ["g0001"]
    await store.close()


async def test_an_index_of_mostly_deleted_points_is_rebuilt_without_them(tmp_path: Path) -> None:
    store = EdgeVectorStore(tmp_path, EdgeVectors())
    await store.create(INDEX, SCHEMA)
    home = Layout(tmp_path).home(INDEX)
    made = inode_of(home)
    revisions = 5 * LITTER_LIMIT // (2 * CHUNKS)
    for revision in range(1, revisions + 1):
        await store.upsert(INDEX, points_of("a", revision))
        await store.delete_documents(INDEX, {"a": revision})
        if revision == revisions - 1:
            await store.flush(INDEX)
            await settled(store)
    assert inode_of(home) != made
    await store.upsert(INDEX, points_of("b", 1))
    assert {(key.document_id, key.revision) async for key in store.keys(INDEX)} == {("a", revisions), ("b", 1)}
    found = await store.query(INDEX, text=f"word{revisions}", limit=10)
    assert len(found.sparse) == CHUNKS
    await store.close()
    shard = Shard(home)
    assert shard._shard.info().indexed_vectors_count < revisions * CHUNKS
    shard.close()
    assert sorted(entry.name for entry in home.parent.iterdir()) == ["g0001"]


async def settled(store: EdgeVectorStore) -> None:
    """Wait for a rebuild that a flush has begun."""
    if store._clearing._task is not None:
        await store._clearing._task


async def test_searches_go_on_and_writes_wait_while_an_index_is_rebuilt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow_copy(root: Path, index: IndexRef) -> Path:
        began.set()
        await go_on.wait()
        return await optimized_copy(root, index)

    monkeypatch.setattr(edge_store, "optimized_copy", slow_copy)
    store = EdgeVectorStore(tmp_path, EdgeVectors())
    await store.create(INDEX, SCHEMA)
    await store.upsert(INDEX, points_of("a", 1))
    rebuilding = asyncio.create_task(store.optimize(INDEX))
    await began.wait()
    writing = asyncio.create_task(store.upsert(INDEX, points_of("b", 1)))
    found = await store.query(INDEX, text="word1", limit=10)
    assert len(found.sparse) == CHUNKS == await store.count(INDEX)
    assert not writing.done()
    go_on.set()
    await asyncio.gather(rebuilding, writing)
    assert await store.count(INDEX) == 2 * CHUNKS
    await store.close()


async def test_a_rebuild_that_fails_leaves_the_index_and_is_not_tried_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[IndexRef] = []

    async def no_space(_: Path, index: IndexRef) -> Path:
        asked.append(index)
        raise StorageFull("there is no space left for a copy")

    monkeypatch.setattr(edge_store, "optimized_copy", no_space)
    store = EdgeVectorStore(tmp_path, EdgeVectors())
    await store.create(INDEX, SCHEMA)
    await store.upsert(INDEX, points_of("a", 1))
    for _ in range(2):
        store._clearing.begin(INDEX)
        await settled(store)
    assert asked == [INDEX]
    assert "keep the space of deleted points for now: there is no space left" in caplog.text
    assert await store.count(INDEX) == CHUNKS
    await store.close()


async def test_a_copy_of_an_index_in_trouble_tells_why_and_leaves_nothing(tmp_path: Path) -> None:
    store = EdgeVectorStore(tmp_path, EdgeVectors())
    await store.create(INDEX, SCHEMA)
    await store.close()
    home = Layout(tmp_path).home(INDEX)
    for segment in segments_of(home):
        segment.write_text("{")
    with pytest.raises(StorageFailure, match="segment"):
        await optimized_copy(tmp_path, INDEX)
    assert [entry.name for entry in home.parent.iterdir()] == ["g0001"]


async def test_closing_ends_a_rebuild(tmp_path: Path) -> None:
    store = EdgeVectorStore(tmp_path, EdgeVectors())
    await store.create(INDEX, SCHEMA)
    await store.upsert(INDEX, points_of("a", 1))
    store._clearing.begin(INDEX)
    while not store._writing.locked():
        await asyncio.sleep(0)
    await store.close()
    store = EdgeVectorStore(tmp_path, EdgeVectors())
    assert await store.count(INDEX) == CHUNKS
    assert [entry.name for entry in (tmp_path / "c").iterdir()] == ["g0001"]
    await store.close()


@pytest.mark.parametrize("wanted", [True, False])
def test_a_grown_index_is_optimised_when_it_is_first_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    monkeypatch.setattr("winnow.vectors.edge.engine.UNINDEXED_LIMIT", CHUNKS - 1)
    optimised: list[Path] = []
    monkeypatch.setattr("winnow.vectors.edge.engine.optimize_shard", optimised.append)
    for _ in range(2):
        engine = Engine(tmp_path, optimize_on_start=wanted)
        engine.create(INDEX, SCHEMA)
        engine.upsert(INDEX, points_of("a", 1))
        assert engine.count(INDEX) == CHUNKS
        engine.close()
    assert [each.parent.name[:6] for each in optimised] == ["~copy-"] * wanted


def test_a_failed_optimisation_leaves_the_index_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Path) -> None:
        raise Exception("out of memory")

    monkeypatch.setattr("winnow.vectors.edge.engine.optimize_shard", fail)
    engine = Engine(tmp_path, optimize_on_start=False)
    engine.create(INDEX, SCHEMA)
    engine.upsert(INDEX, points_of("a", 1))
    engine.optimize(INDEX)
    assert engine.count(INDEX) == CHUNKS
    assert "stay unoptimised" in caplog.text
    assert [entry.name for entry in (tmp_path / "c").iterdir()] == ["g0001"]
    engine.close()


def test_on_a_full_disk_writes_are_refused_and_reads_and_deletes_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path, optimize_on_start=False)
    engine.create(INDEX, SCHEMA)
    engine.upsert(INDEX, points_of("a", 1))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2**20))
    with pytest.raises(StorageFull, match="free some"):
        engine.upsert(INDEX, points_of("b", 1))
    with pytest.raises(StorageFull):
        engine.create(IndexRef("other"), SCHEMA)
    assert engine.count(INDEX) == CHUNKS
    engine.delete_documents(INDEX, {"a": None})
    assert engine.count(INDEX) == 0
    engine.close()


async def test_a_crash_while_an_index_is_made_or_deleted_leaves_nothing(tmp_path: Path) -> None:
    store = EdgeVectorStore(tmp_path, EdgeVectors())
    await store.create(INDEX, SCHEMA)
    await store.close()
    for leftover in ("~new-g0002", "~old-g0003", "~copy-1a2b-g0001"):
        (tmp_path / "c" / leftover / "shard").mkdir(parents=True)
    store = EdgeVectorStore(tmp_path, EdgeVectors())
    assert list(await store.indexes()) == [INDEX]
    assert [entry.name for entry in (tmp_path / "c").iterdir()] == ["g0001"]
    await store.close()


@pytest.mark.parametrize("moved_away", [True, False])
async def test_a_crash_while_an_optimised_copy_takes_over_is_completed(tmp_path: Path, moved_away: bool) -> None:
    store = EdgeVectorStore(tmp_path, EdgeVectors())
    await store.create(INDEX, SCHEMA)
    await store.upsert(INDEX, points_of("a", 1))
    await store.close()
    home = Layout(tmp_path).home(INDEX)
    Layout(tmp_path).copy(INDEX).rename(home.with_name("~next-g0001"))
    if moved_away:
        home.rename(home.with_name("~old-g0001"))
    store = EdgeVectorStore(tmp_path, EdgeVectors())
    assert await store.count(INDEX) == CHUNKS
    assert [entry.name for entry in (tmp_path / "c").iterdir()] == ["g0001"]
    await store.close()


if __name__ == "__main__":
    asyncio.run(write_forever(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), optimizing=bool(sys.argv[4])))
