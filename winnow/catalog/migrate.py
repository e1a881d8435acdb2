"""Migrates a database to the schema of this version, with the scripts in the package."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from winnow.catalog.engine import UNLIMITED, Database, sqlite_file
from winnow.core.errors import StorageFailure
from winnow.core.unwritable import unwritable

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x57494E4E4F57  # "WINNOW": replicas that start together migrate one after the other


def migrate(url: URL) -> None:
    """Create the database's folder and upgrade to the newest schema, in one transaction. Blocks: run it in a thread.

    Raises:
        StorageFailure: the folder cannot be made, or a newer version of Winnow wrote the database.
        UpstreamUnavailable: the database server does not answer.
    """
    file = sqlite_file(url)
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(file.parent, error) from error
    asyncio.run(_migrate(url))


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration without a file; ``connection`` is the one to migrate over."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


async def _migrate(url: URL) -> None:
    database = Database(url, enforce_keys=False, statement_seconds=UNLIMITED)
    try:
        async with database.write() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await database.close()


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # another replica's migration may take longer than a lock of a table may be waited for
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        connection.execute(text("SET LOCAL lock_timeout = DEFAULT"))
    config = alembic_config(connection)
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current == scripts.get_current_head():
        return
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        place = connection.engine.url.render_as_string(hide_password=True)
        raise StorageFailure(
            f"the catalog {place} has schema {current!r}, which this version does not know: a newer Winnow wrote it; "
            "upgrade Winnow or point WINNOW_CATALOG__URL elsewhere"
        )
    command.upgrade(config, "head")
