"""A consistent copy of an embedded installation, taken while it is in use.

The order is what makes it consistent. Writes to the vectors are held up and what was written is flushed; then the
catalog is copied, then the vectors, then writes go on. A worker commits to the catalog only what it has flushed before,
so whatever the copied catalog calls indexed lies in the copied vectors, and every difference is work that waits.
Searches and uploads go on meanwhile; only the worker, and who makes or deletes a collection, waits for the copy.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from winnow.core.errors import Conflict, DataDirectoryLocked, InvalidSettings, StorageFull
from winnow.core.lock import DirectoryLock
from winnow.operations.archive import CATALOG, VECTORS, copy_file, files_of
from winnow.operations.resources import Resources
from winnow.operations.sqlite_copy import copy_database
from winnow.ports import CopyableStore

STAGING: Final = "~backup"
LOCK: Final = "~backup.lock"
_BLOCK: Final = 512  # bytes, what stat counts in
RESERVE: Final = 128 * 2**20  # what writing needs anyway


@asynccontextmanager
async def copied(resources: Resources) -> AsyncIterator[Path]:
    """Yield a folder with a copy of catalog and vectors, laid out as a backup; it is removed at the end.

    Raises:
        InvalidSettings: documents or vectors lie on a server.
        Conflict: a backup is being made already.
        StorageFull: the disk has too little room for the copy beside the original.
    """
    settings, store = resources.settings, resources.store
    if not settings.is_embedded or not isinstance(store, CopyableStore):
        raise InvalidSettings(
            "only an embedded installation is backed up like this (WINNOW_VECTORS__PROVIDER=edge, no "
            "WINNOW_CATALOG__URL); docs/operations/backup.md has the procedure for servers"
        )
    data_dir = settings.data_dir
    with _alone(data_dir), _staging(data_dir) as staging:
        async with store.frozen() as vectors:
            await _to_its_end(asyncio.to_thread(_copy, data_dir, vectors, staging))
        yield staging


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    try:
        lock = DirectoryLock(data_dir / LOCK)
    except DataDirectoryLocked as error:
        raise Conflict(f"a backup of {data_dir} is being made already; wait for it") from error
    with lock:
        yield


@contextmanager
def _staging(data_dir: Path) -> Iterator[Path]:
    staging = data_dir / STAGING
    shutil.rmtree(staging, ignore_errors=True)  # of a backup that a crash cut short
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
    """Wait for a thread, also when the caller is cancelled: nothing may be written or removed before."""
    task = asyncio.ensure_future(copying)
    try:
        await asyncio.shield(task)
    finally:
        await asyncio.wait([task])
