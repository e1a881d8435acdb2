"""Migrations lead to exactly the schema that the tables describe, from any start that is ours."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from winnow.catalog.build import open_catalog
from winnow.catalog.engine import database_url
from winnow.catalog.migrate import alembic_config, migrate, newest_revision
from winnow.catalog.tables import Base
from winnow.core.errors import StorageFailure
from winnow.core.settings import load_settings


def test_an_empty_database_gets_the_schema_of_the_tables(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "100%.db"
    migrate(database_url(f"sqlite:///{file}"))
    with create_engine(f"sqlite:///{file}").connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_indexes_are_those_of_the_tables_with_their_conditions(tmp_path: Path) -> None:
    migrated, created = tmp_path / "migrated.db", tmp_path / "created.db"
    migrate(database_url(f"sqlite:///{migrated}"))
    Base.metadata.create_all(create_engine(f"sqlite:///{created}"))
    wanted = text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name")
    found = [create_engine(f"sqlite:///{file}").connect().execute(wanted).all() for file in (migrated, created)]
    assert found[0] == found[1]
    assert len(found[0]) == 23


def test_a_second_migration_changes_nothing(tmp_path: Path) -> None:
    url = database_url(f"sqlite:///{tmp_path}/winnow.db")
    migrate(url)
    before = (tmp_path / "winnow.db").read_bytes()
    migrate(url)
    assert (tmp_path / "winnow.db").read_bytes() == before


def test_every_migration_can_be_taken_back(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/winnow.db")
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "head")
        command.downgrade(alembic_config(connection), "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]


def test_there_is_one_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [newest_revision()]


def test_the_migrations_are_sql_for_postgresql() -> None:
    config = alembic_config()
    config.output_buffer = written = io.StringIO()
    command.upgrade(config, "head", sql=True)
    sql = written.getvalue()
    assert 'id TEXT COLLATE "C" NOT NULL' in sql
    assert "TIMESTAMP WITH TIME ZONE" in sql
    assert "(collection_uid, priority DESC, submitted_at, id, due_at) WHERE due_at IS NOT NULL" in sql


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    await (await open_catalog(settings)).close()
    with create_engine(f"sqlite:///{tmp_path}/winnow.db").begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageFailure, match=r"'9999'.*newer Winnow"):
        await open_catalog(settings)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "winnow.db").write_bytes(b"not a database at all, but long enough to look at" * 100)
    with pytest.raises(StorageFailure, match="damaged"):
        await open_catalog(load_settings(data_dir=tmp_path))


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailure, match="file"):
        await open_catalog(load_settings(data_dir=tmp_path / "file"))


async def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    url = database_url(f"sqlite:///{tmp_path}/winnow.db")
    await asyncio.gather(*(asyncio.to_thread(migrate, url) for _ in range(3)))
