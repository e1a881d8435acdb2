"""The lock of a data directory, which one process owns: ``flock`` on a file that names the owner."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from winnow.core.errors import DataDirectoryLocked
from winnow.core.unwritable import unwritable

LOCK_FILE: Final = "winnow.lock"
"""Name of the lock file of a data directory, within it."""

_MAX_BYTES = 4096
_POLL_SECONDS = 0.02
_QUIET_SECONDS = 1.0  # an engine takes a moment to end, which needs no log line
_SAY_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock.

    Attributes:
        pid: process id.
        url: where it serves HTTP, if it does.
        heir: process id of the child that shares the lock and holds it alone once the owner has died.
        since: when it took the lock, ISO 8601.
    """

    pid: int | None = None
    url: str | None = None
    heir: int | None = None
    since: str | None = None


class DirectoryLock(AbstractContextManager["DirectoryLock"]):
    """An exclusive lock on a directory, held by an open file, so that the lock ends with the process in any case.

    The lock file is never removed: a new one under the same name could be locked beside the old one.
    """

    def __init__(self, path: Path, *, patience: float = 0.0) -> None:
        """Take the lock.

        Args:
            path: the lock file; its folder is made if it is missing.
            patience: seconds to wait for a lock whose owner is dead. If they are more than 0 and the owner's heir
                lives, the wait has no limit, because the heir may have a long flush to finish.

        Raises:
            DataDirectoryLocked: another process that lives (or another lock of this one) holds it.
            StorageFailure: the directory cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise unwritable(path.parent, error) from error
        try:
            self._wait(path.parent, patience)
        except BaseException:
            os.close(self._file)
            raise
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self.publish()

    def _wait(self, directory: Path, patience: float) -> None:
        begin = time.monotonic()
        say_at = begin + _QUIET_SECONDS
        while not self._take():
            owner, now = _read(self._file), time.monotonic()
            if owner.pid is None or _is_alive(owner.pid):  # without a pid the owner is writing it
                raise _locked(directory, owner)
            inherited = patience > 0 and owner.heir is not None and _is_alive(owner.heir)
            if not inherited and now > begin + patience:
                raise _locked(directory, owner)
            if inherited and now > say_at:
                say_at = now + _SAY_SECONDS
                _say_who(directory, owner, now - begin)
            time.sleep(_POLL_SECONDS)

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

    def publish(self, *, url: str | None = None, heir: int | None = None) -> None:
        """Record this process, its URL and its heir in the file, for processes that are refused."""
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(asdict(Owner(os.getpid(), url, heir, self._since))).encode(), 0)

    def release(self) -> None:
        """Release the lock; a second call does nothing."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1

    def __exit__(self, *_: object) -> None:
        self.release()


def _read(file: int) -> Owner:
    """The owner that the file names; an empty ``Owner`` while the file is being written."""
    try:
        content = json.loads(os.pread(file, _MAX_BYTES, 0))
    except ValueError:
        return Owner()
    return Owner(*(content.get(each.name) for each in fields(Owner)))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it belongs to another user
    return True


def _say_who(directory: Path, owner: Owner, seconds: float) -> None:
    log.warning(
        "waiting for %s, for %.0f s now: process %s, which has had it since %s, is dead; its child, process %s, "
        "is still writing what it accepted (kill -9 %s ends it and loses nothing that was acknowledged)",
        *(directory, seconds, owner.pid, owner.since, owner.heir, owner.heir),
    )


def _locked(directory: Path, owner: Owner) -> DataDirectoryLocked:
    who = f"process {owner.pid}" if owner.pid else "another process"
    remedy = f"ask it at {owner.url}" if owner.url else "stop it"
    return DataDirectoryLocked(
        f"{directory} is in use by {who}; {remedy}, or choose another data directory", pid=owner.pid, url=owner.url
    )
