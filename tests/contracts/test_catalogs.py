"""The catalog passes its contract on SQLite, and on PostgreSQL where one can be started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.catalogs import new_catalog, new_postgres
from tests.contracts.catalog import CatalogContract
from tests.contracts.catalog_data import FakeClock, doc
from winnow.catalog.build import open_catalog
from winnow.catalog.engine import database_url
from winnow.catalog.migrate import migrate
from winnow.catalog.tables import Base
from winnow.core.errors import UpstreamUnavailable
from winnow.core.settings import load_settings
from winnow.ports import Catalog


class TestSqliteCatalog(CatalogContract):
    @pytest.fixture
    async def catalog(self, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Catalog]:
        catalog = new_catalog(tmp_path, clock)
        yield catalog
        await catalog.close()


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL that lives as long as this module's tests."""
    with new_postgres() as url:
        yield url


class TestPostgresCatalog(CatalogContract):
    @pytest.fixture
    async def catalog(self, tmp_path: Path, postgres_url: str, clock: FakeClock) -> AsyncIterator[Catalog]:
        settings = load_settings(data_dir=tmp_path, catalog={"url": postgres_url})
        catalog = await open_catalog(settings, clock=clock)
        await _empty(postgres_url)
        yield catalog
        await catalog.close()

    async def test_the_migrated_schema_is_that_of_the_tables(self, catalog: Catalog, postgres_url: str) -> None:
        def differences(connection: Connection) -> list[object]:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            return list(compare_metadata(context, Base.metadata))

        engine = create_async_engine(database_url(postgres_url))
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
        await engine.dispose()

    async def test_lost_connections_are_replaced(self, docs: Catalog, postgres_url: str) -> None:
        await docs.documents.submit("docs", [doc("a")])
        engine = create_async_engine(database_url(postgres_url))
        async with engine.connect() as connection:
            ours = "FROM pg_stat_activity WHERE application_name = 'winnow'"
            await connection.execute(text(f"SELECT pg_terminate_backend(pid) {ours}"))
            await connection.execute(text("COMMIT"))
            while await connection.scalar(text(f"SELECT count(*) {ours}")):
                await connection.execute(text("SELECT pg_stat_clear_snapshot()"))
        await engine.dispose()
        assert (await docs.documents.get("docs", "a")).document == doc("a")

    async def test_processes_that_start_together_migrate_once(self, tmp_path: Path, postgres_url: str) -> None:
        engine = create_async_engine(database_url(postgres_url), isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text("CREATE DATABASE fresh"))
        await engine.dispose()
        url = database_url(postgres_url).set(database="fresh")
        await asyncio.gather(*(asyncio.to_thread(migrate, url) for _ in range(3)))


async def test_a_server_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, catalog={"url": f"postgresql://me:pw@/db?host={tmp_path}"})
    with pytest.raises(UpstreamUnavailable, match="WINNOW_CATALOG__URL") as caught:
        await open_catalog(settings)
    assert caught.value.retryable


async def _empty(url: str) -> None:
    engine = create_async_engine(database_url(url))
    async with engine.begin() as connection:
        await connection.execute(
            text("TRUNCATE collections, document_counts, api_keys, audit_events, result_lists, kept_files CASCADE")
        )
    await engine.dispose()
