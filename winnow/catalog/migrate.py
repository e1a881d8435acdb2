"""Migrates a database to the schema of this version, with the scripts in the package.

Alembic is loaded only where there is something to migrate: most starts find the newest schema.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import URL

from winnow.catalog.engine import UNLIMITED, Database, sqlite_file
from winnow.core.errors import StorageFailure
from winnow.core.unwritable import unwritable

if TYPE_CHECKING:
    from alembic.config import Config

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
    from alembic.config import Config  # noqa: PLC0415 - slow to import

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


def newest_revision() -> str:
    """The revision of the last script, which is the number that its file name begins with."""
    return max(script.name for script in MIGRATIONS.glob("versions/[0-9]*.py")).split("_")[0]


def current_revision(connection: Connection) -> str | None:
    """The revision of the database's schema; ``None`` where there is none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _upgrade(connection: Connection) -> None:
    if current_revision(connection) == newest_revision():
        return
    if connection.dialect.name == "postgresql":
        # another replica's migration may take longer than a lock of a table may be waited for
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        connection.execute(text("SET LOCAL lock_timeout = DEFAULT"))
    current = current_revision(connection)  # of now, when no other replica migrates
    if current == newest_revision():
        return
    from alembic import command  # noqa: PLC0415 - slow to import
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        place = connection.engine.url.render_as_string(hide_password=True)
        raise StorageFailure(
            f"the catalog {place} has schema {current!r}, which this version does not know: a newer Winnow wrote it; "
            "upgrade Winnow or point WINNOW_CATALOG__URL elsewhere"
        )
    command.upgrade(config, "head")
