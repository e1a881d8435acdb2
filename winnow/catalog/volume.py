"""Notices that the volume of an SQLite catalog answers errors, which reads out of memory do not show."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from pathlib import Path
from typing import Final

from winnow.core.errors import StorageFailure

_BLOCK: Final = 4096  # bytes
_BROKEN: Final = {errno.EIO, errno.EROFS, errno.ENODEV, errno.ENXIO, errno.ESTALE}  # a full disk is not broken


class Volume:
    """Belongs to one event loop.

    Args:
        folder: of the catalog's file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._trial: asyncio.Future[OSError | None] | None = None

    async def check(self) -> None:
        """Write a block to stable storage. One trial at a time: those that hang occupy one thread.

        Raises:
            StorageFailure: the device or its file system failed.
        """
        if self._trial is None or self._trial.done():
            self._trial = asyncio.get_running_loop().run_in_executor(None, _write, self._folder)
        failure = await asyncio.shield(self._trial)
        if failure is not None and failure.errno in _BROKEN:
            raise StorageFailure(
                f"the volume of {self._folder} failed: {failure.strerror}; look after the disk, the data may be whole"
            )


def _write(folder: Path) -> OSError | None:
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(bytes(_BLOCK))
            os.fsync(file.fileno())
    except OSError as failure:
        return failure
    return None
