"""Qdrant Edge in a process of its own: the program that runs there, and the connection to it.

The engine holds the interpreter's lock for the whole of a call: some 2 ms for a search, up to 300 ms for a flush. In
the serving process everything else would stop meanwhile.

Both ends of a socket pair carry frames: a length and a number (two unsigned 32-bit integers, big-endian), then a pickle
(protocol 5; both ends are ours). A call is ``(method of Engine, arguments)``, its answer ``(True, value)`` or ``(False,
error)``. Calls are carried out one by one, in the order in which they come.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import logging
import math
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from winnow.core.errors import StorageFailure, UpstreamUnavailable
from winnow.core.gc_tuning import tune_gc
from winnow.core.import_path import python_path
from winnow.core.instruments import ENGINE_RESTARTS
from winnow.core.lock import DirectoryLock
from winnow.vectors.edge.engine import Engine

_HEADER: Final = struct.Struct("!II")
_BUFFER: Final = 8 << 20
_CLOSE: Final = "close"
_CLOSE_SECONDS: Final = 30.0
_DEATHS: Final = 3  # within a minute; then some seconds pass before each start, twice as many each time
_DEATHS_SECONDS: Final = 60.0
_FIRST_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 10.0
_CAUSES: Final[dict[int, str]] = {
    signal.SIGBUS: "no space left on the disk, or a file of an index was cut",
    signal.SIGKILL: "perhaps for want of memory",
}

# Ctrl-C reaches the whole group, and a service manager tells every process to stop: this one ends when its socket
# closes. Signals are ignored first of all, because the imports take a while.
_PROGRAM: Final = """
import signal
for each in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
    signal.signal(each, signal.SIG_IGN)
from winnow.vectors.edge.process import main
main()
"""

log = logging.getLogger(__name__)


class EngineProcess:
    """The engine's process as seen from the one that serves. It is started, and after a death started again, by a call.

    The lock on the root is shared with the process: it stays locked until both are gone.
    """

    def __init__(self, root: Path, lock: DirectoryLock, *, optimize_on_start: bool) -> None:
        self._root = root
        self._lock = lock
        self._optimize_on_start = optimize_on_start
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._deaths: deque[float] = deque(maxlen=_DEATHS)
        self._pause = 0.0  # before the next start
        self.starts = 0  # number of starts; each finishes on disk what a crash left behind
        self._closed = False

    async def call(self, method: str, *arguments: Any) -> Any:
        """Have the engine carry out ``method``.

        A caller that is cancelled does not take the call back: what was sent is carried out.

        Raises:
            UpstreamUnavailable: the process died before it answered, whether the call was carried out is unknown; or it
                cannot be started, or dies over and over.
            StorageFailure: it is closed.
            WinnowError: the error of the engine.
        """
        writer = self._writer or await self._start()
        body = pickle.dumps((method, arguments), protocol=5)
        number = next(self._numbers) & 0xFFFFFFFF
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        writer.write(_HEADER.pack(len(body), number) + body)
        return await answer

    async def close(self) -> None:
        """Have everything flushed and end the process, by force if it takes longer than half a minute."""
        if self._closed:
            return
        failure: Exception | None = None
        if self._writer is not None and self._process is not None:
            try:
                await asyncio.wait_for(self.call(_CLOSE), _CLOSE_SECONDS)
            except (TimeoutError, UpstreamUnavailable) as error:
                log.warning("the vector engine did not close in time, its write-ahead log keeps the rest: %r", error)
                self._process.kill()
            except StorageFailure as error:
                failure = error
        self._closed = True
        if self._writer is not None:
            self._writer.close()
        if self._process is not None:
            await asyncio.to_thread(_end, self._process)
        if self._reading is not None:
            await asyncio.wait([self._reading])
        if failure is not None:
            raise failure

    async def _start(self) -> asyncio.StreamWriter:
        async with self._starting:
            if self._writer is not None:
                return self._writer
            if self._closed:
                raise StorageFailure("the vector store is closed")
            self._require_survival()
            try:
                self._process, ours = self._spawn()
            except OSError as error:
                raise UpstreamUnavailable(f"the vector engine cannot be started: {error}") from error
            if self.starts:
                ENGINE_RESTARTS.inc()
            self.starts += 1
            self._lock.publish(heir=self._process.pid)
            reader, self._writer = await asyncio.open_unix_connection(sock=ours, limit=_BUFFER)
            self._reading = asyncio.create_task(self._read(reader, self._process))
            return self._writer

    def _require_survival(self) -> None:
        """Raise if the engine keeps dying, so that it is not restarted endlessly."""
        wait = self._deaths[-1] + self._pause - time.monotonic() if self._deaths else 0
        if wait > 0:
            raise UpstreamUnavailable(
                f"the vector engine died {_DEATHS} times within a minute, the log says how; "
                f"it is started again in {math.ceil(wait)} s",
                retry_after=wait,
            )

    def _note_death(self) -> None:
        """Lengthen the pause before the next start if deaths follow each other closely."""
        self._deaths.append(time.monotonic())
        closely = len(self._deaths) == _DEATHS and self._deaths[-1] - self._deaths[0] < _DEATHS_SECONDS
        self._pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, 2 * self._pause)) if closely else 0.0

    def _spawn(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        """A new process, and the local end of the socket pair to it."""
        ours, theirs = socket.socketpair()
        inherited = (theirs.fileno(), self._lock.descriptor)
        arguments = [*map(str, inherited), str(self._root), str(int(self._optimize_on_start))]
        try:
            with theirs:
                process = subprocess.Popen(  # noqa: S603 - our own program
                    [sys.executable, "-P", "-c", _PROGRAM, *arguments],
                    env={"OPENBLAS_NUM_THREADS": "1", **os.environ, "PYTHONPATH": python_path()},
                    pass_fds=inherited,
                    stdin=subprocess.DEVNULL,
                )
        except BaseException:
            ours.close()
            raise
        return process, ours

    async def _read(self, reader: asyncio.StreamReader, process: subprocess.Popen[bytes]) -> None:
        """Hand out answers until the other end closes."""
        try:
            while True:
                length, number = _HEADER.unpack(await reader.readexactly(_HEADER.size))
                succeeded, value = pickle.loads(await reader.readexactly(length))  # noqa: S301 - of our own process
                answer = self._waiting.pop(number)
                if not answer.done():  # else its caller was cancelled
                    (answer.set_result if succeeded else answer.set_exception)(value)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception:
            log.exception("an answer of the vector engine cannot be read; the engine is restarted")
            process.kill()
        await self._lost(process)

    async def _lost(self, process: subprocess.Popen[bytes]) -> None:
        """After the death of the process: fail the open calls, and let the next call start another process."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        waiting, self._waiting = self._waiting, {}
        fate = _fate(await asyncio.to_thread(process.wait))
        if not self._closed:
            self._note_death()
            log.error("the vector engine's process died (%s); the next call starts it again", fate)
        for answer in waiting.values():
            if not answer.done():
                answer.set_exception(UpstreamUnavailable(f"the vector engine died ({fate}); try again"))


def _fate(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"status {status}"
    name = signal.strsignal(-status) or f"signal {-status}"
    return f"{name}, {_CAUSES[-status]}" if -status in _CAUSES else name


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_CLOSE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> None:
    """Serve the engine of one root until the other end closes."""
    line, lock_file, root, optimize_on_start = sys.argv[1:]
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    for descriptor in (int(line), int(lock_file)):
        os.set_inheritable(descriptor, False)
    tune_gc()
    with socket.socket(fileno=int(line)) as peer:
        _serve(peer, Path(root), optimize_on_start=bool(int(optimize_on_start)))


def _serve(line: socket.socket, root: Path, *, optimize_on_start: bool) -> None:
    engine: Engine | None = None
    with line.makefile("rb") as calls:
        try:
            for number, call in _frames(calls):
                method, arguments = pickle.loads(call)  # noqa: S301 - of the process that started us
                try:
                    engine = engine or Engine(root, optimize_on_start=optimize_on_start)
                    answer = (True, getattr(engine, method)(*arguments))
                except Exception as error:  # noqa: BLE001 - every error is the caller's to see
                    answer = (False, error)
                body = pickle.dumps(answer, protocol=5)
                line.sendall(_HEADER.pack(len(body), number) + body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the other end died; what it was told is in the write-ahead log
        finally:
            if engine is not None:
                engine.close()


def _frames(calls: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    """Numbers and bodies until the other end closes; a body that was cut off is dropped."""
    while len(header := calls.read(_HEADER.size)) == _HEADER.size:
        length, number = _HEADER.unpack(header)
        body = calls.read(length)
        if len(body) == length:
            yield number, body
