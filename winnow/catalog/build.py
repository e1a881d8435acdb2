"""From settings to an open catalog."""

from __future__ import annotations

import asyncio

from winnow.catalog.engine import Database, database_url
from winnow.catalog.migrate import migrate
from winnow.catalog.repository import catalog_of
from winnow.core.clock import Clock, utc_now
from winnow.core.settings import Settings
from winnow.ports import Catalog


async def open_catalog(settings: Settings, *, clock: Clock = utc_now) -> Catalog:
    """Open the catalog that ``settings`` name; make and migrate its database first.

    Raises:
        InvalidSettings: the URL names no database that the catalog runs on.
        StorageFailure: the database cannot be opened, or a newer version of Winnow wrote it.
        UpstreamUnavailable: the database server does not answer.
    """
    url = database_url(settings.catalog_url)
    await asyncio.to_thread(migrate, url)
    return catalog_of(Database(url), clock)
