"""The HTTP server of ``winnow serve`` and, with embedded storage or on demand, the worker beside it."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from types import FrameType
from typing import Any

import structlog
import uvicorn
import uvloop

from indexer.bulk.job import BulkJob
from indexer.worker.loop import Worker
from service.access import LocalCallers
from service.app import create_app
from service.binding import check_bind, is_exposed
from service.connections import LimitedConnections, Refused
from service.lifespan import ServiceState
from service.operations_port import OperationsApp
from service.service_reports import ServiceReports
from service.start_gate import StartGate
from winnow.background import keeping_fresh, running
from winnow.cli.announcement import Announcement
from winnow.cli.local_socket import listening
from winnow.cli.operations_port import bind, bind_operations, operations_port
from winnow.cli.tracing import tracing
from winnow.core.errors import WinnowError
from winnow.core.gc_tuning import tune_gc
from winnow.core.package import winnow_version
from winnow.core.settings import ServerSettings, Settings
from winnow.operations.index_watch import IndexWatch
from winnow.operations.metrics import Metrics
from winnow.operations.resources import Resources
from winnow.operations.warm_up import warm_up
from winnow.runtime import open_local
from winnow.storage import open_catalog_alone

log = logging.getLogger(__name__)
start_log: Any = structlog.get_logger("winnow.service")

SHUTDOWN_SECONDS = 10
KEEP_ALIVE_SECONDS = 75  # longer than common proxies keep theirs, so that they close first


def run_server(settings: Settings, *, with_worker: bool) -> None:
    """Serve until SIGINT or SIGTERM; then open requests and batches are finished and everything is closed.

    ``with_worker`` has this process index although other processes could; with embedded storage it always does.
    """
    bootstrap = settings.server.bootstrap_secret  # first: one that cannot be used is named before models load
    if is_exposed(settings.server) and not bootstrap:
        check_bind(settings, has_keys=asyncio.run(_has_keys(settings)))
    server = settings.server
    listener = bind(server.host, server.port, "choose one with --port")
    with bind_operations(settings.operations) as operations, tracing(settings):
        uvloop.run(_serve(settings, listener, operations, indexes=with_worker or settings.keeps_data))


class _Server(uvicorn.Server):
    """Fails the readiness of what is behind ``gate`` as soon as it is told to stop."""

    def __init__(self, settings: ServerSettings, gate: StartGate) -> None:
        super().__init__(_config(gate, settings.max_connections, gate.refused))
        self._gate = gate
        self._drain_seconds = settings.drain_seconds
        self._longest_call = math.ceil(settings.model_seconds)
        self._exit_at: float | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Swallow the signal that ends it: raised again it would end the process before everything is closed."""
        with super().capture_signals():
            try:
                yield
            finally:
                self._captured_signals.clear()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Fail readiness; exit once the drain is over: at once at SIGINT, at a second signal, or during the start.

        After SIGTERM open requests have the time that the longest call of a model may take.
        """
        if sig == signal.SIGTERM:
            self.config.timeout_graceful_shutdown = self._longest_call
        drains = self._gate.is_ready and self._drain_seconds > 0
        self._gate.drain()
        if sig == signal.SIGTERM and drains and self._exit_at is None:
            self._exit_at = time.monotonic() + self._drain_seconds
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Exit once the drain is over."""
        drained = self._exit_at is not None and time.monotonic() >= self._exit_at
        return await super().on_tick(counter) or drained


async def _has_keys(settings: Settings) -> bool:
    async with open_catalog_alone(settings) as catalog:
        return (await catalog.keys.summary()).exist


async def _serve(
    settings: Settings, listener: socket.socket, operations: socket.socket | None, *, indexes: bool
) -> None:
    """Listen from the first moment, and answer what is asked once everything behind it is open."""
    gate = StartGate()
    server = _Server(settings.server, gate)
    async with operations_port(operations) as port:
        work = asyncio.create_task(_work(settings, gate, port, _url(listener), indexes=indexes), name="service")

        def exit_with_work(_: asyncio.Task[None]) -> None:
            gate.drain()
            server.should_exit = True

        work.add_done_callback(exit_with_work)
        try:
            await server.serve(sockets=[listener])
        finally:
            gate.end()
            if not gate.is_ready:
                work.cancel()
            await asyncio.wait({work})
        if not work.cancelled():
            work.result()


async def _work(settings: Settings, gate: StartGate, port: OperationsApp, url: str, *, indexes: bool) -> None:
    """Open everything, let ``gate`` pass requests to it, and close it when the last one is answered."""
    async with (
        open_local(settings) as local,
        running(local.worker) if indexes else nullcontext(),
    ):
        if settings.keeps_data:  # elsewhere the store may be away, which must not delay the start
            await _compare(local.watch)
        app = create_app(settings, local.resources)
        state: ServiceState = app.state.service
        port.reports = ServiceReports(state)
        _observe(local.worker, state.metrics, in_this_process=indexes)
        tune_gc()
        async with (
            app.router.lifespan_context(app),
            keeping_fresh(local.resources, count=state.metrics.observe_documents) if indexes else nullcontext(),
            _local_callers(settings, app) if local.lock is not None else nullcontext(),
        ):
            state.starting = "the service warms up"
            gate.open(app)
            if local.lock is not None:
                local.lock.publish(url=url)
            names = await warm_up(local.resources, tell=partial(setattr, state, "starting"))
            state.starting = None
            gate.let_pass()
            await _announce(settings, local.resources, url, names, indexes=indexes)
            await gate.ended()


def _observe(worker: Worker | BulkJob, metrics: Metrics, *, in_this_process: bool) -> None:
    worker.on_outcomes = metrics.observe_outcomes
    if in_this_process and isinstance(worker, Worker):
        metrics.live.worker = lambda: (worker.claimed, worker.stalled_seconds)


async def _announce(settings: Settings, resources: Resources, url: str, names: Sequence[str], *, indexes: bool) -> None:
    """One log line; and what people read, unless a program reads the log."""
    server = settings.server
    has_secret = bool(server.bootstrap_secret or server.librechat_secret.get_secret_value())
    needs_key = has_secret or (await resources.catalog.keys.summary()).exist
    announcement = Announcement(url + settings.server.root_path, names, indexes=indexes, needs_key=needs_key)
    start_log.info(
        "serving",
        url=announcement.url,
        collections=len(announcement.collections),
        indexes=announcement.indexes,
        needs_key=announcement.needs_key,
        operations_port=settings.operations.port,
        version=winnow_version(),
    )
    if settings.log_format != "json":
        announcement.show(insecure=settings.server.insecure)


async def _compare(watch: IndexWatch) -> None:
    """Compare catalog and store before anything is answered from a part of an index."""
    try:
        await watch.look()
    except WinnowError as error:
        log.warning("catalog and store are compared later: %s", error.message)


def _config(app: Any, max_connections: int, refused: Refused | None = None) -> uvicorn.Config:
    limits = {"max_connections": max_connections, "refused": None if refused is None else staticmethod(refused)}
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        http=type("Connections", (LimitedConnections,), limits),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        server_header=False,
        lifespan="off",
    )


@asynccontextmanager
async def _local_callers(settings: Settings, app: Any) -> AsyncIterator[None]:
    """Answer commands of this machine through the socket in the data directory, without a key."""
    with listening(settings.data_dir) as listener:
        if listener is None:
            yield
            return
        server = uvicorn.Server(_config(LocalCallers(app), settings.server.max_connections))
        serving = asyncio.create_task(server._serve([listener]), name="local-callers")  # noqa: SLF001 - serve() would take over the signal handlers
        try:
            yield
        finally:
            server.should_exit = True
            await serving


def _url(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    reachable: Any = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{reachable}:{port}"
