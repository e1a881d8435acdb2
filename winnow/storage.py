"""The composition root of what a process keeps: its data directory, the catalog and the vector store, without models.

Apart from ``winnow.runtime``, so that a command which only reads them starts without all that serves and indexes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

from winnow.catalog.build import open_catalog
from winnow.core.disk_reserve import give_up_reserve
from winnow.core.lock import LOCK_FILE, DirectoryLock
from winnow.core.settings import Settings
from winnow.ports import Catalog, VectorStore
from winnow.vectors.build import build_store


def lock_data(settings: Settings) -> AbstractContextManager[DirectoryLock | None]:
    """Take the data directory if anything is kept there; on a full disk with the space that was kept for that.

    Raises:
        DataDirectoryLocked: another process owns it; the error says which, and where it serves.
    """
    if not settings.keeps_data:
        return nullcontext()
    give_up_reserve(settings.data_dir)
    return DirectoryLock(settings.data_dir / LOCK_FILE)


@asynccontextmanager
async def open_catalog_alone(settings: Settings) -> AsyncIterator[Catalog]:
    """Take the data directory and open the catalog: no models, no vector store, no worker.

    Raises:
        DataDirectoryLocked: another process owns the data directory.
    """
    with lock_data(settings):
        catalog = await open_catalog(settings)
        try:
            yield catalog
        finally:
            await catalog.close()


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[tuple[Catalog, VectorStore]]:
    """As ``open_catalog_alone``, with the vector store."""
    async with open_catalog_alone(settings) as catalog:
        store = build_store(settings)
        try:
            yield catalog, store
        finally:
            await store.close()
