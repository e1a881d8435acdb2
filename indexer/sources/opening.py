"""Opens files of a folder without leaving it: what a name led to when it was listed may be a link when it is opened."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import IO, Final

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe must not keep us waiting
_MAX_PATH_BYTES: Final = 1024  # of macOS


def open_file(path: Path, root: str = "") -> IO[bytes]:
    """Open a regular file, never a link.

    Args:
        path: the file, with every link in it resolved.
        root: a folder that it must lie in, resolved as well; empty for none.

    Raises:
        OSError: it cannot be read, is not a regular file, or lies elsewhere.
    """
    try:
        opened = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it became a link, which is not followed") from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        place = _place_of(opened) if root else None
        if place is not None and not place.is_relative_to(root):
            raise OSError(errno.EXDEV, "a folder above it became a link out of the source, which is not followed")
        return open(path, "rb", opener=lambda *_: opened)  # parsers want its name
    except BaseException:
        os.close(opened)
        raise


def _place_of(opened: int) -> Path | None:
    """Where an open file lies; ``None`` if the system does not tell."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/self/fd/{opened}").readlink()
        except OSError:
            return None
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415 - F_GETPATH exists on macOS alone

        found = fcntl.fcntl(opened, fcntl.F_GETPATH, bytes(_MAX_PATH_BYTES))
        return Path(os.fsdecode(found.rstrip(b"\0")))
    return None
