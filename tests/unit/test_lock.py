"""The lock on a data directory: one owner, who says who it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval.errors import DataDirectoryLocked
from retrieval.lock import DirectoryLock

HOLD = "import sys, pathlib; from retrieval.lock import DirectoryLock; "
HOLD += (
    "lock = DirectoryLock(pathlib.Path(sys.argv[1])); lock.publish(url='http://127.0.0.1:8000'); print(1, flush=True); "
)
HOLD += "sys.stdin.read()"


def test_the_loser_learns_who_owns_the_directory(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path / "data" / "lock") as lock:
        lock.publish(url="http://127.0.0.1:8123")
        with pytest.raises(DataDirectoryLocked, match=r"127\.0\.0\.1:8123") as caught:
            DirectoryLock(tmp_path / "data" / "lock")
        assert (caught.value.pid, caught.value.url) == (os.getpid(), "http://127.0.0.1:8123")


def test_a_shorter_publication_leaves_nothing_of_the_longer(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path / "lock") as lock:
        lock.publish(url="http://a-long-name.example.org:8000")
        lock.publish()
        with pytest.raises(DataDirectoryLocked) as caught:
            DirectoryLock(tmp_path / "lock")
        assert (caught.value.pid, caught.value.url) == (os.getpid(), None)


def test_a_release_frees_the_directory_and_may_be_repeated(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path / "lock")
    lock.release()
    lock.release()
    with DirectoryLock(tmp_path / "lock"):
        pass


def test_an_owner_that_has_not_written_yet_is_just_another_process(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path / "lock"):
        (tmp_path / "lock").write_bytes(b"")
        with pytest.raises(DataDirectoryLocked, match="another process") as caught:
            DirectoryLock(tmp_path / "lock")
        assert caught.value.pid is None


def test_the_lock_ends_with_its_process_however_that_dies(tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"1\n"
        with pytest.raises(DataDirectoryLocked) as caught:
            DirectoryLock(tmp_path / "lock")
        assert (caught.value.pid, caught.value.url) == (owner.pid, "http://127.0.0.1:8000")
        owner.send_signal(signal.SIGKILL)
    with DirectoryLock(tmp_path / "lock"):
        pass
