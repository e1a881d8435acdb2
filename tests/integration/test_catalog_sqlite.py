"""The catalog on SQLite as it is run: killed, filled up, locked, cancelled, read while it writes."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.contracts.catalog_data import LEASE, doc, make_collection, success, work
from winnow.catalog.build import catalog_of, open_catalog
from winnow.catalog.engine import Database, database_url
from winnow.catalog.migrate import migrate
from winnow.core.clock import utc_now
from winnow.core.errors import Overloaded, StorageFull
from winnow.core.settings import Settings, load_settings
from winnow.ports import Catalog

ROOT = Path(__file__).parents[2]

# submits and works without end; every line on the acknowledgement file was on disk before the next step
WRITER = """
import asyncio, os, sys
from pathlib import Path
from winnow.catalog.build import open_catalog
from winnow.core.settings import load_settings
from tests.contracts.catalog_data import LEASE, doc, success

async def main(folder, life):
    catalog = await open_catalog(load_settings(data_dir=Path(folder)))
    await catalog.queue.release()
    acknowledgements = os.open(f"{folder}/acknowledged", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    def acknowledge(word, names):
        os.write(acknowledgements, "".join(f"{word} {name}\\n" for name in names).encode())
        os.fsync(acknowledgements)
        print(word, flush=True)
    for batch in range(10_000):
        names = [f"{life}-{batch}-{i}" for i in range(16)]
        await catalog.documents.submit("docs", [doc(name, name * 50) for name in names])
        acknowledge("submitted", names)
        claims = await catalog.queue.claim("worker", limit=12, lease_seconds=LEASE)
        done = await catalog.queue.commit([success(claim) for claim in claims])
        acknowledge("indexed", [claim.document.id for claim, ok in zip(claims, done) if ok])

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path)


@pytest.fixture
async def catalog(settings: Settings) -> AsyncIterator[Catalog]:
    catalog = await open_catalog(settings)
    await catalog.collections.create(make_collection())
    yield catalog
    await catalog.close()


def run_until_killed(folder: Path, life: int, steps: int) -> None:
    """Start the writer and kill it as soon as it has told of ``steps`` steps."""
    command = [sys.executable, "-c", WRITER, str(folder), str(life)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "."}) as process:
        assert process.stdout is not None
        for _ in range(steps):
            assert process.stdout.readline(), "the writer ended by itself"
        process.send_signal(signal.SIGKILL)


async def test_what_was_acknowledged_survives_kill_9(settings: Settings, tmp_path: Path) -> None:
    catalog = await open_catalog(settings)
    await catalog.collections.create(make_collection())
    await catalog.close()
    chance = random.Random(7)
    for life in range(5):
        await asyncio.to_thread(run_until_killed, tmp_path, life, chance.randint(1, 40))

    catalog = await open_catalog(settings)
    states = {s.document.id: (s.state, s.document.text, s.chunks) async for s in catalog.documents.scan("docs")}
    lines = [line.split() for line in (tmp_path / "acknowledged").read_text().splitlines()]
    submitted = {name for word, name in lines if word == "submitted"}
    indexed = {name for word, name in lines if word == "indexed"}
    assert submitted <= states.keys()
    assert indexed
    assert all(states[name] == ("indexed", name * 50, 2) for name in indexed)
    assert all(states[name][1] == name * 50 for name in submitted)
    # a batch is whole or not there at all
    assert len(states) % 16 == 0
    await catalog.queue.release()
    await work(catalog)
    assert (await catalog.documents.counts("docs")).indexed == len(states)
    await catalog.close()
    with sqlite3.connect(tmp_path / "winnow.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


async def test_writes_are_synced_and_readers_cannot_write(tmp_path: Path) -> None:
    url = database_url(f"sqlite:///{tmp_path}/winnow.db")
    await asyncio.to_thread(migrate, url)
    database = Database(url)
    async with database.write() as connection:
        found = [await connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")]
        assert found == ["wal", 2]
        assert await connection.scalar(text("PRAGMA foreign_keys")) == 1
    async with database.read() as connection:
        assert await connection.scalar(text("PRAGMA query_only")) == 1
    await database.close()


async def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    url = database_url(f"sqlite:///{tmp_path}/winnow.db")
    await asyncio.to_thread(migrate, url)
    database = Database(url)
    catalog = catalog_of(database, utc_now)
    await catalog.collections.create(make_collection())
    await catalog.documents.submit("docs", [doc("a", "before")])
    async with database.write() as connection:
        await connection.execute(text("UPDATE contents SET text = 'not yet'"))
        assert (await catalog.documents.get("docs", "a")).document.text == "before"
        assert await catalog.queue.backlog() == 1
    assert (await catalog.documents.get("docs", "a")).document.text == "not yet"
    await catalog.close()


async def test_a_full_disk_refuses_the_batch_and_keeps_what_was_there(tmp_path: Path) -> None:
    url = database_url(f"sqlite:///{tmp_path}/winnow.db")
    await asyncio.to_thread(migrate, url)
    database = Database(url)
    catalog = catalog_of(database, utc_now)
    await catalog.collections.create(make_collection())
    await catalog.documents.submit("docs", [doc("kept")])
    async with database.write() as connection:
        pages = await connection.scalar(text("PRAGMA page_count"))
        await connection.execute(text(f"PRAGMA max_page_count = {pages + 2}"))
    with pytest.raises(StorageFull) as caught:
        await catalog.documents.submit("docs", [doc("large", "x" * 100_000)])
    assert caught.value.retryable
    assert [key.id for key in await catalog.documents.list("docs")] == ["kept"]
    async with database.write() as connection:
        await connection.execute(text("PRAGMA max_page_count = 1000000"))
    assert (await catalog.documents.submit("docs", [doc("large", "x" * 100_000)])).accepted == 1
    await catalog.close()


async def test_a_foreign_lock_is_overload(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.catalog.engine.BUSY_SECONDS", 0.01)
    impatient = await open_catalog(load_settings(data_dir=tmp_path))
    with sqlite3.connect(tmp_path / "winnow.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Overloaded) as caught:
            await impatient.documents.submit("docs", [doc("a")])
        assert caught.value.retry_after
        other.execute("ROLLBACK")
    assert (await impatient.documents.submit("docs", [doc("a")])).accepted == 1
    await impatient.close()


async def test_a_cancelled_write_leaves_no_half_and_blocks_nobody(catalog: Catalog) -> None:
    chance = random.Random(3)
    for attempt in range(20):
        task = asyncio.create_task(catalog.documents.submit("docs", [doc(f"{attempt}-{i}") for i in range(4)]))
        for _ in range(chance.randint(0, 60)):
            await asyncio.sleep(0)  # let it come to some point on its way
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    names = [key.id.split("-")[0] for key in await catalog.documents.list("docs")]
    assert all(names.count(name) == 4 for name in names)
    assert (await catalog.documents.submit("docs", [doc("after")])).accepted == 1


async def test_a_purge_of_many_documents_lets_other_writers_in(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winnow.catalog.collections.PURGE_BATCH", 10)
    await catalog.documents.submit("docs", [doc(f"{i:03}") for i in range(105)])
    await catalog.collections.create(make_collection("other"))
    await catalog.collections.mark_deleting("docs")
    purge = asyncio.create_task(catalog.collections.purge("uid-docs"))
    await asyncio.gather(purge, *(catalog.documents.submit("other", [doc(f"{i}")]) for i in range(5)))
    assert await catalog.collections.list(deleting=True) == []
    assert (await catalog.documents.counts("other")).documents == 5


async def test_everything_is_there_after_a_restart(settings: Settings) -> None:
    first = await open_catalog(settings)
    made = await first.collections.create(make_collection())
    job_id = (await first.documents.submit("docs", [doc("a", metadata={"k": [1, "ü"]})])).job_id
    (claim,) = await first.queue.claim("worker", limit=1, lease_seconds=LEASE)
    await first.close()
    second = await open_catalog(settings)
    assert await second.collections.get("docs") == made
    assert await second.queue.release() == 1
    (again,) = await second.queue.claim("worker", limit=1, lease_seconds=LEASE)
    assert again.document == claim.document
    assert list(await second.queue.commit([success(claim), success(again)])) == [False, True]
    assert (await second.jobs.get(job_id)).status == "done"
    await second.close()
