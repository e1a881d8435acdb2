"""The Unix socket in a data directory, through which commands of the same machine reach the service that owns it.

Whoever may open the directory's files needs no key: the socket has mode 0600.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

SOCKET_FILE: Final = "winnow.sock"
_LONGEST: Final = 100  # bytes; the system's own limit is 108, on macOS 104
_DESCRIPTORS: Final = Path("/proc/self/fd")

log = logging.getLogger(__name__)


@contextmanager
def listening(data_dir: Path) -> Iterator[socket.socket | None]:
    """Bind the socket of a directory that this process owns; remove it at the end.

    Yields ``None``, and warns, where the system cannot make it: commands then use the service's address, and a key.
    """
    with reachable(data_dir) as path:
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.unlink(missing_ok=True)  # left by a process that was killed
            bound.bind(str(path))
            path.chmod(0o600)  # before anyone can connect: it does not listen yet
        except OSError as error:
            log.warning("commands of this machine need a key: no socket in %s: %s", data_dir, error)
            bound.close()
            yield None
            return
        try:
            yield bound
        finally:
            bound.close()
            with suppress(OSError):
                path.unlink()


@contextmanager
def reachable(data_dir: Path) -> Iterator[Path]:
    """The path of the socket, short enough for the system while the block runs: through a descriptor if need be."""
    path = data_dir / SOCKET_FILE
    if len(os.fsencode(path)) <= _LONGEST or not _DESCRIPTORS.is_dir():
        yield path
        return
    folder = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _DESCRIPTORS / str(folder) / SOCKET_FILE
    finally:
        os.close(folder)
