"""A consistent copy of an embedded installation, taken while it is in use.

The order makes the copy consistent. Writes to the vectors are paused and flushed; then the catalog is copied, then the
vectors, then writes continue. A worker flushes vectors before it commits to the catalog, so the copied vectors contain
every document that the copied catalog calls indexed, and any other difference is pending work. Searches and uploads
continue meanwhile; only the worker, and calls that create or delete a collection, wait for the copy.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from winnow.core.errors import Conflict, DataDirectoryLocked, Forbidden, InvalidSettings, StorageFull
from winnow.core.lock import DirectoryLock
from winnow.core.principal import Principal
from winnow.operations.archive import CATALOG, VECTORS, copy_database, copy_file, files_of
from winnow.operations.audit import audited
from winnow.operations.resources import Resources
from winnow.ports import CopyableStore

STAGING: Final = "~backup"
LOCK: Final = "~backup.lock"
_BLOCK: Final = 512  # bytes: the unit of st_blocks
RESERVE: Final = 128 * 2**20  # bytes that ongoing writes need


@asynccontextmanager
async def copied(resources: Resources, principal: Principal) -> AsyncIterator[Path]:
    """Yield a folder with a copy of catalog and vectors, laid out as a backup; it is removed at the end.

    Raises:
        Forbidden: the principal sees a part of the installation only.
        InvalidSettings: documents or vectors are stored on a server.
        Conflict: another backup is in progress.
        StorageFull: the disk has too little room for the copy beside the original.
    """
    principal.require("operate")
    if not principal.sees_everything:
        raise Forbidden(f"a backup holds every collection and tenant, of which {principal.described} sees a part")
    settings, store = resources.settings, resources.store
    if not settings.is_embedded or not isinstance(store, CopyableStore):
        raise InvalidSettings(
            "only an embedded installation is backed up like this (WINNOW_VECTORS__PROVIDER=edge, no "
            "WINNOW_CATALOG__URL); docs/operations/backup.md has the procedure for servers"
        )
    data_dir = settings.data_dir
    with _staging(data_dir) as staging:
        async with audited(resources.catalog.trail, principal, "backup"), store.frozen() as vectors:
            await _to_its_end(asyncio.to_thread(_copy, data_dir, vectors, staging))
        yield staging


@contextmanager
def _staging(data_dir: Path) -> Iterator[Path]:
    """An empty folder for the copy, for one backup at a time."""
    try:
        lock = DirectoryLock(data_dir / LOCK)
    except DataDirectoryLocked as error:
        raise Conflict(f"a backup of {data_dir} is being made already; wait for it") from error
    staging = data_dir / STAGING
    with lock:
        shutil.rmtree(staging, ignore_errors=True)  # left by a crash
        staging.mkdir()
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _copy(data_dir: Path, vectors: Path, staging: Path) -> None:
    _require_space(data_dir, vectors)
    copy_database(data_dir / CATALOG, staging / CATALOG)
    # locks and half-made indexes begin with ~
    shutil.copytree(vectors, staging / VECTORS, ignore=shutil.ignore_patterns("~*"), copy_function=copy_file)


def _require_space(data_dir: Path, vectors: Path) -> None:
    files = [data_dir / CATALOG, *(vectors / name for name in files_of(vectors))]
    needed, free = sum(file.stat().st_blocks * _BLOCK for file in files) + RESERVE, shutil.disk_usage(data_dir).free
    if free < needed:
        raise StorageFull(
            f"a backup needs {needed / 2**20:,.0f} MiB for its copy, {free / 2**20:,.0f} are free at {data_dir}"
        )


async def _to_its_end(copying: Awaitable[None]) -> None:
    """Wait for a thread even if the caller is cancelled: the copy must not be removed while the thread writes it."""
    task = asyncio.ensure_future(copying)
    try:
        await asyncio.shield(task)
    finally:
        await asyncio.wait([task])
