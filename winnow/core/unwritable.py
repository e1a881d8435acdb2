"""The message for a directory that this process cannot write to: which one, who the process is, and what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from winnow.core.errors import StorageFailure

_ANOTHER: Final = "choose another with --data-dir or WINNOW_DATA_DIR"


def unwritable(directory: Path, error: OSError) -> StorageFailure:
    """The error of our tree for ``error``, which writing below ``directory`` raised."""
    who = f"user {os.getuid()}, group {os.getgid()}"
    place = directory.absolute()
    if error.errno == errno.EROFS:
        return StorageFailure(
            f"{place} is read-only, and this process ({who}) keeps data there: mount it writable, or {_ANOTHER}"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return StorageFailure(
            f"{place} cannot be written by this process ({who}): chown it to that user (on Kubernetes set fsGroup), or "
            "choose another directory with --data-dir or WINNOW_DATA_DIR"
        )
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return StorageFailure(f"{place} is or lies below a file, and data needs a directory: {_ANOTHER}")
    return StorageFailure(f"{place} cannot be used by this process ({who}): {error.strerror or error}")
