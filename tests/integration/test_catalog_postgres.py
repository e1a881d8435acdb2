"""The catalog on PostgreSQL where it goes wrong: statistics out of date, old snapshots, stuck and killed clients."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tests.catalogs import new_postgres
from tests.contracts.catalog_data import LEASE, FakeClock, SlowClock, doc, ids, make_collection, success
from winnow.catalog.build import catalog_of
from winnow.catalog.engine import Database, database_url
from winnow.catalog.migrate import migrate
from winnow.catalog.table_maintenance import TableMaintenance
from winnow.core.errors import Overloaded, WinnowError
from winnow.ports import Catalog

ROOT = Path(__file__).parents[2]
DOCUMENTS = 5000
LIMIT = 16
A_CLAIM = 16 * LIMIT  # rows of a table that a claim, or its commit, may read at most: a few for each document

# a queue as uploads leave it, of one collection
FILL = """
INSERT INTO documents (collection_uid, id, content_hash, revision, state, token, source, priority, submitted_at,
    updated_at, due_at, attempts, job_id, n_chunks, chunks)
SELECT 'uid-docs', 'd' || lpad(n::text, 6, '0'), '', 1, 'pending', 1, '', 0, at, at, at, 0, 'job', 0, '[]'
FROM generate_series(1, 5000) n, LATERAL (SELECT timestamptz '2024-05-01' + n * interval '1 ms' AS at) t
"""
FILL_CONTENTS = """
INSERT INTO contents (collection_uid, id, title, url, format, metadata, text)
SELECT collection_uid, id, '', '', 'text', '{}', id FROM documents WHERE collection_uid = 'uid-docs'
"""
ROWS_READ = """
SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) AS rows FROM pg_stat_user_tables
WHERE relname IN ('documents', 'contents')
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with new_postgres() as url:
        yield url


@pytest.fixture
async def url(server: str) -> str:
    """A migrated database that the test may damage."""
    async with admin(server) as connection:
        await connection.execute(text("DROP DATABASE IF EXISTS damaged WITH (FORCE)"))
        await connection.execute(text("CREATE DATABASE damaged"))
    found = database_url(server).set(database="damaged")
    await asyncio.to_thread(migrate, found)
    return found.render_as_string(hide_password=False)


@asynccontextmanager
async def admin(url: str) -> AsyncIterator[AsyncConnection]:
    """A connection that is not the product's; every statement commits by itself."""
    engine = create_async_engine(database_url(url), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


@asynccontextmanager
async def opened(
    url: str, clock: FakeClock | None = None, seconds: float = 30.0
) -> AsyncIterator[tuple[Catalog, Database]]:
    database = Database(database_url(url), statement_seconds=seconds)
    catalog = catalog_of(database, clock or FakeClock())
    try:
        yield catalog, database
    finally:
        await catalog.close()


async def long_queue(url: str) -> None:
    """5,000 documents of ``docs``, with the statistics of a table that knows another collection alone."""
    async with opened(url) as (catalog, _), admin(url) as connection:
        await catalog.collections.create(make_collection("other"))
        await catalog.collections.create(make_collection())
        await catalog.documents.submit("other", [doc(f"{number}") for number in range(1000)])
        while claims := await catalog.queue.claim("worker", limit=500, lease_seconds=LEASE):
            await catalog.queue.commit([success(claim) for claim in claims])
        for table in ("documents", "contents"):
            await connection.execute(text(f"ALTER TABLE {table} SET (autovacuum_enabled = false)"))
        await connection.execute(text("ANALYZE"))
        await connection.execute(text(FILL))
        await connection.execute(text(FILL_CONTENTS))


async def rows_read(database: Database) -> int:
    """The rows of documents and contents that the product's connections have read until now."""
    await flush_statistics(database)
    async with database.read() as connection:
        return sum([row.rows for row in await connection.execute(text(ROWS_READ))])


async def flush_statistics(database: Database) -> None:
    """Have the server count what the product's connection has done; one at a time is used, always the same."""
    async with database.read() as connection:
        await connection.execute(text("SELECT pg_stat_force_next_flush()"))


WORST = ("enable_indexscan", "enable_indexonlyscan", "enable_nestloop")


@pytest.mark.parametrize("off", [(), WORST], ids=["stale statistics", "and bad plans preferred"])
async def test_a_claim_reads_what_it_claims_whatever_the_statistics_say(url: str, off: tuple[str, ...]) -> None:
    await long_queue(url)
    async with admin(url) as connection:
        for name in off:
            await connection.execute(text(f"ALTER DATABASE damaged SET {name} = off"))
    async with opened(url) as (catalog, database):
        for turn in range(8):  # from the sixth execution on PostgreSQL may take a plan for any parameters
            before = await rows_read(database)
            claims = await catalog.queue.claim("worker", limit=LIMIT, lease_seconds=LEASE)
            claimed = await rows_read(database)
            assert await catalog.queue.renew("worker", claims, lease_seconds=LEASE) == LIMIT
            assert all(await catalog.queue.commit([success(claim) for claim in claims]))
            assert ids(claims) == [f"d{turn * LIMIT + number:06}" for number in range(1, LIMIT + 1)]
            assert claimed - before < A_CLAIM
            assert await rows_read(database) - claimed < A_CLAIM


async def test_counts_and_backlog_read_no_documents(url: str) -> None:
    await long_queue(url)
    async with opened(url) as (catalog, database):
        before = await rows_read(database)
        assert (await catalog.documents.counts("docs")).pending == DOCUMENTS
        await catalog.collections.list_with_counts()
        await catalog.queue.backlog()
        assert await rows_read(database) == before


@pytest.mark.parametrize("clock", [FakeClock(), SlowClock()], ids=["from the head", "from positions"])
async def test_a_held_snapshot_costs_claims_nothing_from_positions(url: str, clock: FakeClock) -> None:
    await long_queue(url)
    async with opened(url, clock) as (catalog, database), create_snapshot(url):
        for _ in range(20):
            claims = await catalog.queue.claim("worker", limit=100, lease_seconds=LEASE)
            await catalog.queue.commit([success(claim) for claim in claims])
        await flush_statistics(database)
        before = await entries_read(url)
        await catalog.queue.claim("worker", limit=LIMIT, lease_seconds=LEASE)
        await flush_statistics(database)
        read = await entries_read(url) - before
    # from the head: two dead entries for each document that was done
    assert read > 2000 if not isinstance(clock, SlowClock) else read < A_CLAIM


@asynccontextmanager
async def create_snapshot(url: str) -> AsyncIterator[None]:
    """Hold a snapshot open, so that nothing dead is removed."""
    engine = create_async_engine(database_url(url), isolation_level="REPEATABLE READ")
    async with engine.connect() as connection:
        await connection.execute(text("SELECT count(*) FROM collections"))
        yield
    await engine.dispose()


async def entries_read(url: str) -> int:
    """The entries of the queue's index that were read until now."""
    async with admin(url) as connection:
        statement = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'ix_documents_due'"
        return int(await connection.scalar(text(statement)) or 0)


async def test_a_stuck_statement_is_ended_by_the_server(url: str) -> None:
    async with opened(url, seconds=0.2) as (_, database):
        with pytest.raises(Overloaded):
            async with database.write() as connection:
                await connection.execute(text("SELECT pg_sleep(60)"))


async def test_a_transaction_that_lies_idle_loses_its_locks(url: str) -> None:
    async with opened(url, seconds=0.2) as (catalog, database):
        await catalog.collections.create(make_collection())
        with pytest.raises(WinnowError):
            await outlast(database, url)
        async with admin(url) as other:
            assert await other.scalar(text("SELECT status FROM collections")) == "taken"


async def outlast(database: Database, url: str) -> None:
    """Hold a lock in a transaction that does nothing until the server has given the lock to another one."""
    async with database.write() as connection, admin(url) as other:
        await connection.execute(text("UPDATE collections SET status = 'held'"))
        await other.execute(text("UPDATE collections SET status = 'taken'"))
        await connection.execute(text("SELECT 1"))


async def test_a_caller_that_gives_up_cancels_its_statement(url: str) -> None:
    async def stuck() -> None:
        async with database.write() as connection:
            await connection.execute(text("SELECT pg_sleep(60)"))

    async with opened(url) as (_, database), admin(url) as other:
        task = asyncio.create_task(stuck())
        await until(other, "SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(other, "SELECT count(*) = 0 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'")


KILLED = """
import asyncio, sys
from sqlalchemy import text
from winnow.catalog.engine import Database, database_url

async def main():
    async with Database(database_url(sys.argv[1])).write() as connection:
        await connection.execute(text("SELECT id FROM documents FOR UPDATE"))
        print("locked", flush=True)
        await connection.execute(text("SELECT pg_sleep(60)"))

asyncio.run(main())
"""


async def test_the_locks_of_a_killed_client_go_although_its_statement_runs(url: str) -> None:
    async with opened(url) as (catalog, _), admin(url) as other:
        await catalog.collections.create(make_collection())
        await catalog.documents.submit("docs", [doc("a")])
        command = [sys.executable, "-c", KILLED, url]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "."}
        ) as client:
            assert client.stdout is not None
            assert await asyncio.to_thread(client.stdout.readline) == b"locked\n"
            assert await catalog.queue.claim("worker", limit=1, lease_seconds=LEASE) == ()
            await until(other, "SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'")
            client.send_signal(signal.SIGKILL)
        await until(other, "SELECT count(*) = 0 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'")
        assert ids(await catalog.queue.claim("worker", limit=1, lease_seconds=LEASE)) == ["a"]


async def until(connection: AsyncConnection, condition: str) -> None:
    """Wait until a query is true; the test's own time limit bounds it."""
    while not await connection.scalar(text(condition)):
        await asyncio.sleep(0.02)


async def test_statistics_are_taken_and_counts_merged_after_many_writes(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(url) as (catalog, database):
        await catalog.collections.create(make_collection())
        await catalog.documents.submit("docs", [doc(f"{number}") for number in range(25)])
        await flush_statistics(database)
        monkeypatch.setattr("winnow.catalog.table_maintenance.ROWS", 20)
        await catalog.documents.submit("docs", [doc(f"{number}") for number in range(25, 40)])
    async with admin(url) as connection:  # closing waited for it
        assert await connection.scalar(text("SELECT reltuples FROM pg_class WHERE relname = 'documents'")) == 40
        assert await connection.scalar(text("SELECT count(*) FROM document_counts")) == 1
        assert await connection.scalar(text("SELECT sum(documents) FROM document_counts")) == 40


async def test_who_may_not_take_statistics_says_so_once(url: str, caplog: pytest.LogCaptureFixture) -> None:
    await long_queue(url)
    async with admin(url) as connection:
        await connection.execute(text("DROP ROLE IF EXISTS guest"))
        await connection.execute(text("CREATE ROLE guest LOGIN"))
        await connection.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA public TO guest"))
    guest = Database(database_url(url).set(username="guest"))
    maintenance = TableMaintenance(guest)
    with caplog.at_level(logging.WARNING):
        await maintenance.run()
        await maintenance.run()
    await guest.close()
    async with admin(url) as connection:
        await connection.execute(text("DROP OWNED BY guest"))
    told = [record.getMessage() for record in caplog.records if record.name == "winnow.catalog.table_maintenance"]
    assert len(told) == 1
    assert told[0].startswith("only the owner of table")


async def test_commits_at_the_same_time_do_not_wait_for_each_others_counts(url: str) -> None:
    change = text("UPDATE documents SET state = 'failed' WHERE id = :id")
    async with opened(url, seconds=5) as (catalog, database):
        await catalog.collections.create(make_collection())
        await catalog.documents.submit("docs", [doc("a"), doc("b")])
        async with database.write() as one, database.write() as two:
            await one.execute(change, {"id": "a"})
            await two.execute(change, {"id": "b"})
        assert (await catalog.documents.counts("docs")).failed == 2
        with pytest.raises(ZeroDivisionError):
            await give_up(database)
        counts = await catalog.documents.counts("docs")
        assert (counts.failed, counts.documents, counts.pending) == (2, 2, 0)


async def give_up(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("UPDATE documents SET state = 'indexed'"))
        raise ZeroDivisionError
