"""One process owns a data directory: ``flock`` on a file that says who the owner is."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from retrieval.errors import DataDirectoryLocked

_MAX_BYTES = 4096
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock: process id, and where it serves HTTP if it does."""

    pid: int | None = None
    url: str | None = None


class DirectoryLock:
    """An exclusive lock on a directory, held by an open file, so that it ends with the process however that dies.

    The lock file is never removed: a new one under the same name could be locked beside the old one.
    """

    def __init__(self, path: Path, *, patience: float = 0.0) -> None:
        """Take the lock.

        Args:
            path: the lock file; its folder is made if it is missing.
            patience: seconds to wait for a lock whose owner is dead and has left it to a child that is about to end.

        Raises:
            DataDirectoryLocked: another process (or another lock of this one) holds it.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        end = time.monotonic() + patience
        while not self._take():
            owner = _read(self._file)
            if _is_alive(owner) or time.monotonic() > end:
                os.close(self._file)
                raise _locked(path.parent, owner)
            time.sleep(_POLL_SECONDS)
        self.publish()

    @property
    def descriptor(self) -> int:
        """The open file. A child process that inherits it shares the lock until it ends."""
        return self._file

    def _take(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def publish(self, *, url: str | None = None) -> None:
        """Write down who holds the lock and where it serves, for those who come too late."""
        content = json.dumps(asdict(Owner(os.getpid(), url))).encode()
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, content, 0)

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _read(file: int) -> Owner:
    """The owner as written; an empty ``Owner`` while it is just being written."""
    try:
        content = json.loads(os.pread(file, _MAX_BYTES, 0))
    except ValueError:
        return Owner()
    return Owner(content.get("pid"), content.get("url"))


def _is_alive(owner: Owner) -> bool:
    if owner.pid is None:
        return True  # being written just now
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _locked(directory: Path, owner: Owner) -> DataDirectoryLocked:
    who = f"process {owner.pid}" if owner.pid else "another process"
    remedy = f"ask it at {owner.url}" if owner.url else "stop it"
    return DataDirectoryLocked(
        f"{directory} is in use by {who}; {remedy}, or choose another data directory", pid=owner.pid, url=owner.url
    )
