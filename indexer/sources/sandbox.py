"""A process of its own for the parsers of untrusted files: it may die, run wild or swell, and the job goes on.

The process is started once for a run and again after it died, and reads one file after the other. It has no secrets (an
empty environment) and hard limits: memory, CPU time between two items, size of files that it writes (none), open
files; the wall-clock limit is kept from outside. Items come back as JSON: nothing that the process says is executed.

The limits bound what a hostile file costs. They are no wall against a parser that has been taken over by one: what this
user may read, that process may read. Whoever indexes files of strangers runs the whole indexer in a container.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self, cast

import orjson

from indexer.sources.sandbox_child import HEADER, MAX_FRAME
from winnow.core.import_path import python_path

_BLOCK: Final = 256 * 1024


class ParseFailure(Exception):
    """A file that cannot be parsed, or not to its end.

    Attributes:
        code: stable name of what is wrong.
        message: what is wrong and what to do about it.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What the parsers may use.

    Attributes:
        memory_mib: address space of the process.
        cpu_seconds: CPU time from one item to the next; a PDF or DOCX is one item.
        wall_seconds: time from one item to the next, by the clock.
    """

    memory_mib: int = 1536
    cpu_seconds: int = 60
    wall_seconds: float = 120.0


class Sandbox:
    """Runs parsers in a child process. Use as a context manager: the process ends with it. Blocking, for one thread."""

    def __init__(self, limits: SandboxLimits | None = None) -> None:
        self._limits = limits or SandboxLimits()
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            cast("IO[bytes]", pipe).close()
        self._buffer.clear()

    def parse(self, parser: str, path: Path, options: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Yield what ``parser`` finds in the file.

        Args:
            parser: a name out of ``indexer.sources.sandbox_child.PARSERS``.
            path: the file.
            options: keyword arguments of the parser, JSON values.

        Raises:
            ParseFailure: the file is not what it should be, or took more than the limits allow.
        """
        request = {"parser": parser, "path": os.fspath(path), "options": dict(options or {}), **asdict(self._limits)}
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
            raise ParseFailure(*content)

    def _send(self, line: bytes) -> None:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = _start()
        pipe = cast("IO[bytes]", self._process.stdin)
        pipe.write(line)
        pipe.flush()

    def _receive(self) -> list[Any]:
        """The next frame; whatever is wrong with the process comes out as a ``ParseFailure``."""
        until = time.monotonic() + self._limits.wall_seconds
        (size,) = HEADER.unpack(self._take(HEADER.size, until))
        if size > MAX_FRAME:
            raise ParseFailure("parser_failed", "the parser returned nonsense; the file is damaged or hostile")
        try:
            return cast("list[Any]", orjson.loads(self._take(size, until)))
        except orjson.JSONDecodeError:
            raise ParseFailure(
                "parser_failed", "the parser returned nonsense; the file is damaged or hostile"
            ) from None

    def _take(self, size: int, until: float) -> bytes:
        """The next ``size`` bytes of what the process writes."""
        if len(self._buffer) < size:
            self._fill(size, until)
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _fill(self, size: int, until: float) -> None:
        process = cast("subprocess.Popen[bytes]", self._process)
        pipe = cast("IO[bytes]", process.stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while len(self._buffer) < size:
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise ParseFailure("too_slow", self._too_slow(self._limits.wall_seconds))
                block = os.read(pipe.fileno(), _BLOCK)
                if not block:
                    raise self._died(process.wait())
                self._buffer += block

    def _died(self, status: int) -> ParseFailure:
        if status == -signal.SIGXCPU:
            return ParseFailure("too_slow", self._too_slow(self._limits.cpu_seconds))
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return ParseFailure(
            "parser_died",
            f"the parser died of the file ({how}): it is damaged, hostile, or needs more than "
            f"{self._limits.memory_mib} MiB; save it anew or split it",
        )

    @staticmethod
    def _too_slow(seconds: float) -> str:
        return f"parsing took longer than {seconds:g} s: the file is too complex, or hostile; save it anew or split it"


def _start() -> subprocess.Popen[bytes]:
    """A child with nothing of our environment but what Python and Arrow need to start small."""
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
