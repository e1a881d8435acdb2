"""Space that is kept for a start on a full disk: a file in the data directory, given up when the rest is used.

A process that runs when its disk fills goes on: it answers searches and accepts deletions. One that starts then has to
lock its directory, open the catalog and load the indexes, all of which take space.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path
from typing import Final

RESERVE_FILE: Final = "winnow.reserve"
"""Name of the file, within the data directory."""

RESERVE_BYTES: Final = 112 * 2**20
"""What a start takes: 80 MiB for the indexes (``winnow.vectors.edge.layout``), and room for catalog and deletions."""

_LOW: Final = 4 * 2**30  # a disk with more free bytes needs no reserve yet
_LEFT: Final = 192 * 2**20  # bytes that making one must leave, which is more than writes need

log = logging.getLogger(__name__)


def keep_reserve(directory: Path) -> None:
    """Make the file where the disk runs low and has room for it; does nothing where it is there.

    What keeps it from being made is logged: a reserve is a precaution, not a condition.
    """
    path = directory / RESERVE_FILE
    if path.exists() or not RESERVE_BYTES + _LEFT < shutil.disk_usage(directory).free < _LOW:
        return
    new = path.with_suffix(".new")
    try:
        with new.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        new.rename(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        log.warning("no space is kept in %s for a start on a full disk: %s", directory, error.strerror or error)
    else:
        log.info("the disk of %s runs low: %d MiB are kept for a start", directory, RESERVE_BYTES >> 20)


def give_up_reserve(directory: Path) -> None:
    """Delete the file if a start needs its space; does nothing where there is none, or room enough without it."""
    path = directory / RESERVE_FILE
    try:
        if shutil.disk_usage(directory).free >= RESERVE_BYTES:
            return
        path.unlink()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EROFS, errno.EACCES):  # the lock names what cannot be written
            log.warning("the space that is kept in %s for a start cannot be used: %s", path, error.strerror or error)
        return
    log.warning("the disk of %s is full: the space that was kept for a start is used; free some", directory)
