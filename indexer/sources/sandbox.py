"""A separate process for the parsers of untrusted files: whatever happens to it, the job goes on.

The process is started once for a run, and again after it died. It reads one file after the other. It has no secrets (an
empty environment), no network where the system can refuse it, and hard limits on memory, CPU time between two items,
files that it writes (none) and open files;
this side enforces the limit on wall-clock time. Items come back as JSON: none of the process's output is executed.

The limits bound the cost of a hostile file. They do not confine a parser that such a file has taken over.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import IO, Any, Final, cast

import orjson

from indexer.sources.base import ReadError
from indexer.sources.opening import open_file
from indexer.sources.sandbox_child import HEADER, MAX_FRAME
from winnow.core.import_path import python_path

_BLOCK: Final = 256 * 1024
_INVALID_ANSWER: Final = "the parser returned an invalid answer; the file is damaged or hostile"


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Resource limits of the parsers.

    Attributes:
        memory_mib: address space of the process.
        cpu_seconds: CPU time from one item to the next; a PDF or DOCX is one item.
        wall_seconds: time from one item to the next, by the clock.
    """

    memory_mib: int = 1536
    cpu_seconds: int = 60
    wall_seconds: float = 120.0


class Sandbox(AbstractContextManager["Sandbox"]):
    """Runs parsers in a child process, which ends with this context manager. Blocking, for one thread at a time.

    Args:
        limits: of the process.
        root: a folder, links resolved, outside of which no file is opened; empty for none.
    """

    def __init__(self, limits: SandboxLimits | None = None, *, root: str = "") -> None:
        self._limits = limits or SandboxLimits()
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = bytearray()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if one is running."""
        self.kill()
        process, self._process = self._process, None
        if process is None:
            return
        process.wait()
        for pipe in (process.stdin, process.stdout):
            cast("IO[bytes]", pipe).close()
        self._buffer.clear()

    def kill(self) -> None:
        """Kill the process, so that a ``parse`` on another thread fails at once."""
        if self._process is not None:
            self._process.kill()

    def open(self, path: Path) -> IO[bytes]:
        """Open a file that needs no parser in this process, by the rules of those that do; raises ``OSError``."""
        return open_file(path, self._root)

    def confined_by(self) -> list[str]:
        """What keeps the process from the network; empty if nothing does. Raises ``ReadError`` if it does not run."""
        (found,) = self.parse("confinement", Path(__file__))
        return list(found["held"])

    def parse(self, parser: str, path: Path, options: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Yield the items that ``parser`` finds in the file.

        Args:
            parser: a key of ``indexer.sources.sandbox_child.PARSERS``.
            path: the file, which is not a link.
            options: keyword arguments of the parser, JSON values.

        Raises:
            ReadError: the file is damaged, of another format, or needs more than the limits allow.
        """
        places = {"path": os.fsencode(path).hex(), "root": os.fsencode(self._root).hex()}  # names may be no Unicode
        request = {"parser": parser, **places, "options": dict(options or {}), **asdict(self._limits)}
        finished = False
        try:
            self._send(orjson.dumps(request) + b"\n")
            while True:
                kind, *content = self._receive()
                if kind != "item":
                    break
                yield content[0]
            finished = True
        finally:
            if not finished:
                self.close()
        if kind == "failed":
            raise ReadError(*content)

    def _send(self, line: bytes) -> None:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = _start()
        pipe = cast("IO[bytes]", self._process.stdin)
        pipe.write(line)
        pipe.flush()

    def _receive(self) -> list[Any]:
        """The next frame; every problem of the process is raised as a ``ReadError``."""
        until = time.monotonic() + self._limits.wall_seconds
        (size,) = HEADER.unpack(self._take(HEADER.size, until))
        if size > MAX_FRAME:
            raise ReadError("parser_failed", _INVALID_ANSWER)
        try:
            return cast("list[Any]", orjson.loads(self._take(size, until)))
        except orjson.JSONDecodeError:
            raise ReadError("parser_failed", _INVALID_ANSWER) from None

    def _take(self, size: int, until: float) -> bytes:
        """The next ``size`` bytes of the process's output."""
        while len(self._buffer) < size:
            process = cast("subprocess.Popen[bytes]", self._process)
            pipe = cast("IO[bytes]", process.stdout).fileno()
            if not wait([pipe], max(0.0, until - time.monotonic())):
                raise ReadError("too_slow", self._too_slow(self._limits.wall_seconds))
            block = os.read(pipe, _BLOCK)
            if not block:
                raise self._died(process.wait())
            self._buffer += block
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _died(self, status: int) -> ReadError:
        if status == -signal.SIGXCPU:
            return ReadError("too_slow", self._too_slow(self._limits.cpu_seconds))
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return ReadError(
            "parser_died",
            f"the parser crashed on the file ({how}): the file is damaged, hostile, or needs more than "
            f"{self._limits.memory_mib} MiB; save it again or split it",
        )

    @staticmethod
    def _too_slow(seconds: float) -> str:
        return f"parsing took longer than {seconds:g} s: the file is too complex, or hostile; save it again or split it"


def _start() -> subprocess.Popen[bytes]:
    """A child whose environment holds only the settings with which Python and Arrow start small."""
    environment = {
        "PYTHONPATH": python_path(),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others reserve more address space than the limit has
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-c", "from indexer.sources.sandbox_child import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd="/",
        start_new_session=True,  # Ctrl-C is for us to handle
    )
