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
from winnow.vectors.edge.layout import Layout
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


async def write_forever(root: Path, acknowledged: Path, flush_seconds: float) -> None:
    """Write ever new revisions and delete the old ones; note on stable storage what the store has acknowledged."""
    edge_store.FLUSH_SECONDS = flush_seconds
    store = EdgeVectorStore(root, EdgeVectors())
    await store.create(INDEX, SCHEMA)
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


@pytest.mark.parametrize("flush_seconds", [0.05, 3600.0])
async def test_what_was_acknowledged_survives_kill_9_exactly_once(tmp_path: Path, flush_seconds: float) -> None:
    root, acknowledged = tmp_path / "vectors", tmp_path / "acknowledged"
    acknowledged.touch()
    rng = random.Random(int(flush_seconds))
    written = 0
    for kill in range(KILLS):
        with python(__file__, str(root), str(acknowledged), str(flush_seconds)) as writer:
            wait_for_lines(acknowledged, written + rng.randrange(40, 400), writer)
            time.sleep(rng.random() * 0.02)  # a random moment within a write
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
    assert optimised == [tmp_path / "c" / "~copy-g0001" / "shard"] * wanted


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
    for leftover in ("~new-g0002", "~old-g0003", "~copy-g0001"):
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
    asyncio.run(write_forever(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])))
