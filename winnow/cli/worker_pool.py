"""Several worker processes under one parent, which starts dead ones again and passes signals on.

A child is a process of its own with its own name in the queue. What it prints goes to the parent's stderr behind its
number. Its standard input is a pipe from the parent: when that ends, because the parent was killed, the child stops as
it does on SIGTERM, so that no worker is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, assert_never

from winnow.cli.operations_port import bind_operations, operations_port
from winnow.cli.pool_reports import PoolReports
from winnow.core.cores import usable_cores
from winnow.core.errors import InvalidSettings
from winnow.core.retry import RetryPolicy
from winnow.core.settings import OperationsSettings, Settings
from winnow.core.settings.embedding import (
    BundledEmbedding,
    CustomEmbedding,
    DashScopeEmbedding,
    OpenAIEmbedding,
    TorchEmbedding,
    VllmEmbedding,
    VllmOfflineEmbedding,
)

log = logging.getLogger(__name__)

MOST: Final = 8  # that are started unasked: each has connections to the database
STEADY_SECONDS: Final = 60.0  # a process that ran that long is started again at once when it dies
RESTART: Final = RetryPolicy(first_wait=1.0, longest_wait=30.0)
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2


def worker_count(asked: int | None, settings: Settings) -> int:
    """The number of processes: as asked, else one for each core where models run elsewhere, up to eight, else one.

    Raises:
        InvalidSettings: several, although a part of the storage belongs to one process.
    """
    if settings.keeps_data:
        if (asked or 1) > 1:
            raise InvalidSettings(
                f"--processes {asked} needs documents and vectors on servers: what lies in {settings.data_dir} belongs "
                "to one process. Leave the option out, or set WINNOW_CATALOG__URL=postgresql://… and "
                "WINNOW_VECTORS__PROVIDER=qdrant"
            )
        return 1
    if asked is not None:
        return asked
    match settings.embedding:
        case VllmEmbedding() | OpenAIEmbedding() | DashScopeEmbedding():
            return min(usable_cores(), MOST)
        case BundledEmbedding() | TorchEmbedding() | VllmOfflineEmbedding() | CustomEmbedding():
            return 1
        case unknown:
            assert_never(unknown)


def run_pool(count: int, data_dir: Path | None, operations: OperationsSettings) -> int:
    """Run ``count`` workers until SIGINT or SIGTERM; returns the exit status.

    The port of ``operations`` reports on all of them.

    0: all finished their batches and ended. 1: one of them ended badly while it was asked to stop. 2: the settings are
    wrong, so that starting again would not help.
    """
    with bind_operations(operations) as listener, tempfile.TemporaryDirectory(prefix="winnow-") as folder:
        sockets = Path(folder)
        return asyncio.run(_Pool(partial(_command, sockets, data_dir)).run(count, sockets, listener))


def _command(sockets: Path, data_dir: Path | None, number: int) -> list[str]:
    own = [] if data_dir is None else [str(data_dir)]
    return [sys.executable, "-P", "-m", "winnow.cli.worker_child", str(sockets / f"{number}.sock"), *own]


class _Pool:
    def __init__(self, command: Callable[[int], Sequence[str]]) -> None:
        self._command = command
        self._stopped = asyncio.Event()
        self._running: dict[int, Process] = {}
        self._status = 0

    async def run(self, count: int, sockets: Path, listener: socket.socket | None) -> int:
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signal_number, self._stop)
        log.info("%d worker processes", count)
        async with operations_port(listener) as port, asyncio.TaskGroup() as group:
            port.reports = PoolReports(sockets, count)
            for number in range(1, count + 1):
                group.create_task(self._keep(number))
        log.info("all workers stopped" if self._status == 0 else "the workers stopped, not all of them well")
        return self._status

    def _stop(self, status: int = 0) -> None:
        self._status = max(self._status, status)
        self._stopped.set()
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()

    async def _keep(self, number: int) -> None:
        """Keep worker ``number`` running until all are to stop."""
        deaths = 0
        while not self._stopped.is_set():
            began = time.monotonic()
            code = await self._run_once(number)
            if code == EXIT_USAGE:
                self._stop(EXIT_USAGE)
            if self._stopped.is_set():
                self._status = max(self._status, EXIT_FAILED if code else 0)
                return
            deaths = 1 if time.monotonic() - began > STEADY_SECONDS else deaths + 1
            wait = 0.0 if deaths == 1 else RESTART.wait(deaths - 1)
            log.warning("worker %d ended with %s; it starts again in %.0f s", number, _reason(code), wait)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), wait)

    async def _run_once(self, number: int) -> int:
        """Start worker ``number`` and pass on what it prints until it ends; returns its exit status."""
        process = await asyncio.create_subprocess_exec(*self._command(number), stdin=PIPE, stdout=PIPE, stderr=STDOUT)
        self._running[number] = process
        if self._stopped.is_set():  # while it was started
            process.terminate()
        assert process.stdout is not None
        async for line in process.stdout:
            sys.stderr.write(_numbered(number, line.decode(errors="replace")))
            sys.stderr.flush()
        code = await process.wait()
        del self._running[number]
        return code


def _numbered(number: int, line: str) -> str:
    """A line of a worker with its number in front; a line of JSON gets it as a member."""
    return f'{{"worker":{number},{line[1:]}' if line.startswith('{"') else f"worker {number}: {line}"


def _reason(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"
