"""Two versions on one catalog: the newer one has migrated it, the older one still reads and writes as it knows.

The older version is its mapping: the tables as its last migration left them, reflected. It names its own columns alone,
as its statements do. Each step of a rolling upgrade must be possible in both orders: what the older one writes the
newer one reads, and the reverse.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tests.catalogs import new_postgres
from tests.upgrade.releases import REVISIONS
from winnow.catalog.build import catalog_of
from winnow.catalog.engine import Database, database_url
from winnow.catalog.migrate import alembic_config, migrate
from winnow.core.types import Document
from winnow.ports import Catalog, Outcome

IDENTITY = {
    "provider": "fake",
    "model": "fake-words",
    "revision": "1",
    "dimensions": 64,
    "instruct": "",
    "keyword_tokenizer": "k",
    "chunker": "structure-1",
    "token_dimensions": 0,
    "tokenizer": "words",
}


class OlderVersion:
    """Reads and writes a catalog with the columns that a version knew.

    Args:
        url: of the database, of a driver for asyncio.
        tables: as its last migration left them.
    """

    def __init__(self, url: str, tables: sa.MetaData) -> None:
        self._engine = create_async_engine(url)
        self.tables = tables.tables

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.begin() as connection:
            yield connection

    async def insert(self, table: str, **values: Any) -> None:
        """Add a row; columns that are not named get the values that the version left to the database."""
        async with self.transaction() as connection:
            await connection.execute(self.tables[table].insert().values(**values))

    async def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows, with all columns that the version knew."""
        async with self.transaction() as connection:
            return [dict(row._mapping) for row in await connection.execute(self.tables[table].select())]

    async def submit(self, document_id: str, text: str) -> None:
        """Hand a document in, as its transaction does."""
        await self.insert("jobs", **_job("job-old", total=1))
        await self.insert("documents", **_entry(document_id))
        content = {"collection_uid": "u-old", "id": document_id, "title": "Old", "url": "", "format": "text"}
        await self.insert("contents", **content, metadata={}, text=text)

    async def update(self, document_id: str, **values: Any) -> int:
        """Change an entry of the ledger; returns the number of rows."""
        table = self.tables["documents"]
        async with self.transaction() as connection:
            done = await connection.execute(table.update().where(table.c.id == document_id).values(**values))
            return done.rowcount

    async def close(self) -> None:
        await self._engine.dispose()


def _job(job_id: str, *, total: int) -> dict[str, Any]:
    counters = dict.fromkeys(("indexed", "deleted", "unchanged", "failed", "superseded", "chunks_embedded"), 0)
    return {
        "id": job_id,
        "collection_uid": "u-old",
        "total": total,
        **counters,
        "created_at": _moment(),
        "cancelled": 0,
    }


def _entry(document_id: str) -> dict[str, Any]:
    return {
        "collection_uid": "u-old",
        "id": document_id,
        "content_hash": "h",
        "revision": 1,
        "state": "pending",
        "token": 0,
        "source": "",
        "priority": 0,
        "submitted_at": _moment(),
        "updated_at": _moment(),
        "due_at": _moment(),
        "attempts": 0,
        "job_id": "job-old",
        "n_chunks": 0,
        "chunks": [],
    }


_MOMENTS = {"naive": False}


def _moment() -> datetime:
    now = datetime.now(UTC)
    return now.replace(tzinfo=None) if _MOMENTS["naive"] else now


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with new_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    _MOMENTS["naive"] = request.param == "sqlite"
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/winnow.db"
    made = database_url(request.getfixturevalue("server"))
    engine = create_async_engine(made, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(sa.text("DROP DATABASE IF EXISTS beside WITH (FORCE)"))
        await connection.execute(sa.text("CREATE DATABASE beside"))
    await engine.dispose()
    return made.set(database="beside").render_as_string(hide_password=False)


@pytest.fixture(params=list(REVISIONS))
async def both(request: pytest.FixtureRequest, url: str) -> AsyncIterator[tuple[OlderVersion, Catalog]]:
    """The older version on its schema with one collection, then the newer one, which migrates while that stays open."""
    engine, tables = create_async_engine(url), sa.MetaData()
    async with engine.begin() as connection:
        await connection.run_sync(lambda each: command.upgrade(alembic_config(each), REVISIONS[request.param]))
        await connection.run_sync(tables.reflect)
    await engine.dispose()
    older = OlderVersion(url, tables)
    await older.insert(
        "collections",
        uid="u-old",
        name="docs",
        identity=IDENTITY,
        chunking={"max_tokens": 256, "overlap": 32},
        fields={},
        metadata={},
        generation=1,
        status="ready",
        created_at=_moment(),
    )
    await asyncio.to_thread(migrate, database_url(url))
    newer = catalog_of(Database(database_url(url)), lambda: datetime.now(UTC))
    yield older, newer
    await older.close()
    await newer.close()


async def test_what_the_older_one_submits_the_newer_one_indexes(both: tuple[OlderVersion, Catalog]) -> None:
    older, newer = both
    await older.submit("old.md", "some words")
    assert await newer.queue.backlog() == 1
    (claim,) = await newer.queue.claim("new", limit=10, lease_seconds=60)
    assert (claim.document.id, claim.document.text, claim.document.title) == ("old.md", "some words", "Old")
    assert await newer.queue.commit([Outcome(claim)]) == [True]
    assert (await newer.documents.get("docs", "old.md")).state == "indexed"
    (row,) = await older.rows("documents")
    assert (row["state"], row["indexed_revision"], row["due_at"]) == ("indexed", 1, None)


async def test_what_the_newer_one_submits_the_older_one_reads_and_indexes(both: tuple[OlderVersion, Catalog]) -> None:
    older, newer = both
    submission = await newer.documents.submit("docs", [Document("new.md", "other words", title="New")])
    (entry,), (content,) = await older.rows("documents"), await older.rows("contents")
    assert (entry["id"], entry["state"], entry["job_id"]) == ("new.md", "pending", submission.job_id)
    assert (content["text"], content["title"], content["metadata"]) == ("other words", "New", {})
    until = _moment() + timedelta(seconds=60)
    claimed = {"token": entry["token"] + 1, "attempts": 1, "due_at": until, "lease_owner": "old"}
    assert await older.update("new.md", **claimed) == 1
    assert await newer.queue.claim("new", limit=10, lease_seconds=60) == (), "the older one's lease holds"
    done = {"state": "indexed", "indexed_revision": 1, "due_at": None, "lease_owner": None, "n_chunks": 1}
    assert await older.update("new.md", **done, chunks=[{"hash": "h", "point_id": "p"}]) == 1
    assert (await newer.documents.get("docs", "new.md")).state == "indexed"
    assert (await newer.documents.counts("docs")).chunks == 1


async def test_a_claim_of_the_newer_one_that_the_older_one_overtook_is_refused(
    both: tuple[OlderVersion, Catalog],
) -> None:
    older, newer = both
    await older.submit("old.md", "some words")
    (claim,) = await newer.queue.claim("new", limit=10, lease_seconds=60)
    await older.update("old.md", revision=2, token=claim.token + 1, due_at=_moment(), lease_owner=None)
    assert await newer.queue.commit([Outcome(claim)]) == [False]


async def test_numbers_of_documents_count_what_the_older_one_writes(both: tuple[OlderVersion, Catalog]) -> None:
    older, newer = both
    await older.submit("old.md", "some words")
    await newer.documents.submit("docs", [Document("new.md", "other words")])
    assert (await newer.documents.counts("docs")).pending == 2


async def test_every_column_of_the_older_one_is_there_and_takes_what_it_leaves_out(
    both: tuple[OlderVersion, Catalog],
) -> None:
    older, _ = both
    async with older.transaction() as connection:
        found = sa.MetaData()
        await connection.run_sync(found.reflect)
    for name, table in older.tables.items():
        columns = found.tables[name].columns
        assert {column.name for column in table.columns} <= set(columns.keys()), name
        for column in columns:
            if column.name not in table.columns:
                assert column.nullable or column.server_default is not None, f"{name}.{column.name}"
            elif not table.columns[column.name].nullable:
                continue
            else:
                assert column.nullable, f"{name}.{column.name} may be null for the older version"
