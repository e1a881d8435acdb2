"""Opens a catalog from its settings."""

from __future__ import annotations

import asyncio

from sqlalchemy import select

from winnow.catalog.analytics import SqlAnalytics
from winnow.catalog.audits import SqlAudit
from winnow.catalog.collections import SqlCollections
from winnow.catalog.documents import SqlDocuments
from winnow.catalog.engine import Database, database_url
from winnow.catalog.jobs import SqlJobs
from winnow.catalog.kept_files import SqlFiles
from winnow.catalog.kept_sources import SqlKeptSources
from winnow.catalog.keys import SqlKeys
from winnow.catalog.ledger import SqlWorkQueue
from winnow.catalog.migrate import migrate
from winnow.catalog.rebuilds import SqlRebuilds
from winnow.catalog.result_lists import SqlResultLists
from winnow.catalog.table_maintenance import TableMaintenance
from winnow.catalog.tables import COLLECTIONS
from winnow.catalog.tokens import SqlTokens
from winnow.catalog.trail import SqlTrail
from winnow.catalog.volume import Volume
from winnow.core.clock import Clock, utc_now
from winnow.core.settings import Settings
from winnow.ports import Catalog


async def open_catalog(settings: Settings, *, clock: Clock = utc_now) -> Catalog:
    """Create or migrate the database that ``settings`` name, and open its catalog.

    Raises:
        InvalidSettings: the URL is invalid, or names a database that the catalog does not run on.
        StorageFailure: the database cannot be opened, or a newer version of Winnow wrote it.
        UpstreamUnavailable: the database server does not answer.
    """
    url = database_url(settings.catalog_url)
    await asyncio.to_thread(migrate, url)
    return catalog_of(Database(url, statement_seconds=settings.catalog.statement_seconds), clock)


def catalog_of(database: Database, clock: Clock) -> Catalog:
    """The catalog in a migrated database, which is closed with it."""
    maintenance = TableMaintenance(database)
    volume = Volume(database.file.parent) if database.file is not None else None

    async def check() -> None:
        async with database.read() as connection:
            await connection.execute(select(COLLECTIONS.c.uid).limit(1))
        if volume is not None:
            await volume.check()

    keys, trail = SqlKeys(database, clock), SqlTrail(database, clock)
    analytics = SqlAnalytics(database, clock)

    async def close() -> None:
        for part in (keys, trail, analytics, maintenance):
            await part.close()
        await database.close()

    return Catalog(
        collections=SqlCollections(database, clock),
        documents=SqlDocuments(database, clock, maintenance),
        queue=SqlWorkQueue(database, clock, maintenance),
        jobs=SqlJobs(database, clock),
        audit=SqlAudit(database, clock),
        rebuilds=SqlRebuilds(database, clock),
        keys=keys,
        tokens=SqlTokens(database, clock),
        sources=SqlKeptSources(database, clock),
        trail=trail,
        files=SqlFiles(database, clock),
        lists=SqlResultLists(database, clock),
        analytics=analytics,
        check=check,
        writes=lambda: database.writes,
        close=close,
        pools=database.pools,
    )
