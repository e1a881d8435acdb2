"""The lock on a data directory: one owner, who says who it is."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from winnow.core.errors import DataDirectoryLocked, StorageFailure
from winnow.core.lock import DirectoryLock

HOLD = "import sys, pathlib; from winnow.core.lock import DirectoryLock; "
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


PARENT = (
    "import os, pathlib, subprocess, sys, time; from winnow.core.lock import DirectoryLock\n"
    "lock = DirectoryLock(pathlib.Path(sys.argv[1]))\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import sys; sys.stdin.read()'], stdin=0,\n"
    "                         pass_fds=(lock.descriptor,))\n"
    "lock.publish(heir=child.pid if sys.argv[2] == 'known' else None)\n"
    "print(child.pid, flush=True); time.sleep(600)\n"
)


@contextmanager
def dead_owner(lock: Path, heir: str) -> Iterator[subprocess.Popen[bytes]]:
    """An owner that was killed and whose child lives, sharing the lock, until its input is closed."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", PARENT, str(lock), heir]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline().strip().isdigit()
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        yield owner


def test_a_child_that_winds_down_is_waited_for_beyond_any_patience(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winnow.core.lock._QUIET_SECONDS", 0.0)
    with dead_owner(tmp_path / "lock", "known") as owner:
        assert owner.stdin is not None
        heir = json.loads((tmp_path / "lock").read_text())["heir"]
        naps = 0

        def nap(_: float) -> None:
            nonlocal naps
            naps += 1
            if naps == 20:  # long after the patience, the child ends
                owner.stdin.close()
            select.select([], [], [], 0.01)

        monkeypatch.setattr("winnow.core.lock.time.sleep", nap)
        with DirectoryLock(tmp_path / "lock", patience=0.001):
            assert naps >= 20
    assert f"process {owner.pid}" in caplog.text
    assert f"kill -9 {heir}" in caplog.text


@pytest.mark.parametrize(("heir", "patience"), [("known", 0.0), ("unknown", 0.05)])
def test_without_patience_or_a_known_child_the_wait_is_short(tmp_path: Path, heir: str, patience: float) -> None:
    with dead_owner(tmp_path / "lock", heir) as owner:
        assert owner.stdin is not None
        with pytest.raises(DataDirectoryLocked):
            DirectoryLock(tmp_path / "lock", patience=patience)
        owner.stdin.close()


def test_a_living_owner_is_not_waited_for_however_patient(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path / "lock") as lock:
        lock.publish(heir=os.getpid())
        with pytest.raises(DataDirectoryLocked):
            DirectoryLock(tmp_path / "lock", patience=3600)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "chown it to that user"),
        (errno.EROFS, "is read-only"),
        (errno.EIO, "cannot"),
    ],
)
def test_a_directory_that_cannot_be_written_is_named_with_user_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr("winnow.core.lock.os.open", refuse)
        with pytest.raises(StorageFailure, match=remedy) as refused:
            DirectoryLock(tmp_path / "data" / "winnow.lock")
    assert str(tmp_path / "data") in refused.value.message
    assert f"user {os.getuid()}" in refused.value.message


def test_a_file_in_the_place_of_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StorageFailure, match=r"is or lies below a file.*WINNOW_DATA_DIR"):
        DirectoryLock(tmp_path / "data" / "winnow.lock")
