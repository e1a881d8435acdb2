"""Runs the program ``git``: without prompts, hooks and redirects, with limits of time and size.

What is run reads objects only (``ls-tree``, ``cat-file``, ``fetch``): nothing is checked out, so that no filter and no
hook of a repository takes effect.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import IO, Final, cast

from indexer.sources.base import ReadError
from winnow.core.errors import InvalidSource

FETCH_SECONDS: Final = 3600.0
LOCAL_SECONDS: Final = 120.0
MAX_REPOSITORY_BYTES: Final = 10 * 1024**3

_BLOCK: Final = 1024 * 1024
_END_SECONDS: Final = 5.0
_PROTOCOLS: Final = "file:git:http:https:ssh"
_CONFIGURED: Final = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "fetch.recurseSubmodules": "false",
    "gc.autoDetach": "false",  # no process stays behind
    "gc.pruneExpire": "now",  # or the copy keeps every commit that was ever fetched
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",  # bytes a second, for as many seconds:
    "http.lowSpeedTime": "60",
    "maintenance.autoDetach": "false",
}
_INHERITED: Final = ("DIR", "WORK_TREE", "INDEX_FILE", "OBJECT_DIRECTORY", "ALTERNATE_OBJECT_DIRECTORIES", "NAMESPACE")


def require_git() -> None:
    """Raise ``InvalidSource`` if the program is not installed."""
    if shutil.which("git") is None:
        raise InvalidSource("git: sources are read by the program 'git', which is not installed: apt install git")


def run_git(folder: Path, *arguments: str, seconds: float = LOCAL_SECONDS) -> bytes:
    """Run a command in a repository and return its output.

    Raises:
        ReadError: it failed or took longer than ``seconds``; the message is the program's.
    """
    with _start(folder, arguments, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            raise ReadError("too_slow", f"git {arguments[0]} took longer than {seconds:g} s") from None
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        said = " ".join(errors.decode(errors="replace").split()).removeprefix("fatal: ")
        raise ReadError("git_failed", f"git {arguments[0]} failed: {said[:500] or f'status {process.returncode}'}")
    return output


def _start(folder: Path, arguments: Sequence[str], *, stdin: int, stderr: int) -> subprocess.Popen[bytes]:
    settings = [part for key, value in _CONFIGURED.items() for part in ("-c", f"{key}={value}")]
    environment = {key: value for key, value in os.environ.items() if key.removeprefix("GIT_") not in _INHERITED} | {
        "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
        "GIT_CEILING_DIRECTORIES": str(folder.parent),  # the folder itself, never the repository that it lies in
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    environment.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    command = ["git", "-C", str(folder), *settings, *arguments]
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=environment)  # noqa: S603
    if hasattr(resource, "prlimit"):
        with suppress(ProcessLookupError):  # it has ended already
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (MAX_REPOSITORY_BYTES, MAX_REPOSITORY_BYTES))
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it, and with it the programs that it started, which it ends by itself if it is asked."""
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


class BlobReader(AbstractContextManager["BlobReader"]):
    """Reads blobs of one repository by their ids, through one process."""

    def __init__(self, folder: Path) -> None:
        arguments = ("cat-file", "--batch")
        self._process = _start(folder, arguments, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                cast("IO[bytes]", pipe).close()
        self._process.wait()

    def copy(self, blob: str, target: Path) -> None:
        """Write a blob to a file. Raises ``ReadError`` if the repository does not have it."""
        asked, answer = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        try:
            asked.write(f"{blob}\n".encode())
            asked.flush()
        except OSError:
            raise ReadError("git_failed", "git cat-file ended before everything was read") from None
        header = answer.readline().split()
        if len(header) != 3:
            raise ReadError("git_failed", f"the repository lacks the object {blob}; check it with git fsck")
        left = int(header[2])
        with target.open("wb") as file:
            while left and (block := answer.read(min(left, _BLOCK))):
                file.write(block)
                left -= len(block)
        if left or answer.read(1) != b"\n":
            raise ReadError("git_failed", f"git cat-file ended inside of the object {blob}")
