"""The HTTP server of ``winnow serve`` and, with embedded storage or on demand, the worker beside it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from types import FrameType
from typing import Any, Literal

import structlog
import uvicorn
import uvloop

from indexer.worker.loop import Worker
from service.access import LocalCallers
from service.app import create_app
from service.binding import check_bind, is_exposed
from service.connections import LimitedConnections, Refused
from service.lifespan import begin_drain
from service.service_reports import ServiceReports
from winnow.background import keeping_fresh, running
from winnow.cli.announcement import Announcement
from winnow.cli.local_socket import listening
from winnow.cli.operations_port import bind, bind_operations, operations_port
from winnow.cli.tracing import tracing
from winnow.core.errors import WinnowError
from winnow.core.gc_tuning import tune_gc
from winnow.core.package import winnow_version
from winnow.core.principal import LOCAL
from winnow.core.search import RerankOptions, SearchMode, SearchRequest
from winnow.core.settings import Settings
from winnow.operations.index_watch import IndexWatch
from winnow.operations.resources import Resources
from winnow.runtime import open_catalog_alone, open_local

log = logging.getLogger(__name__)
start_log: Any = structlog.get_logger("winnow.service")

SHUTDOWN_SECONDS = 10
WARM_UP_MS = 60_000.0
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
    """Announces its address once it serves, and fails its readiness as soon as it is told to stop."""

    def __init__(
        self, config: uvicorn.Config, *, announce: Callable[[], None], drain: Callable[[], None], drain_seconds: float
    ) -> None:
        super().__init__(config)
        self._announce = announce
        self._drain = drain
        self._drain_seconds = drain_seconds
        self._exit_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Swallow the signal that ends it: raised again it would end the process before everything is closed."""
        with super().capture_signals():
            try:
                yield
            finally:
                self._captured_signals.clear()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Fail readiness; exit once ``drain_seconds`` have passed, or at once at SIGINT or a second signal."""
        self._drain()
        if sig == signal.SIGTERM and self._drain_seconds and self._exit_at is None:
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
    async with (
        operations_port(operations) as port,
        open_local(settings) as local,
        running(local.worker) if indexes else nullcontext(),
    ):
        if settings.keeps_data:  # elsewhere the store may be away, which must not delay the start
            await _compare(local.watch)
        names = await _warm_up(local.resources)
        url = _url(listener)
        if local.lock is not None:
            local.lock.publish(url=url)
        app = create_app(settings, local.resources)
        port.reports = ServiceReports(app.state.service)
        metrics, worker = app.state.service.metrics, local.worker
        worker.on_outcomes = metrics.observe_outcomes
        if indexes and isinstance(worker, Worker):
            metrics.live.worker = lambda: (worker.claimed, worker.stalled_seconds)
        tune_gc()
        needs_key = bool(settings.server.bootstrap_secret) or (await local.resources.catalog.keys.summary()).exist
        announcement = Announcement(url + settings.server.root_path, names, indexes=indexes, needs_key=needs_key)
        server = _Server(
            _config(app, settings.server.max_connections, app.state.refusals.again),
            announce=lambda: _announce(settings, announcement),
            drain=lambda: begin_drain(app),
            drain_seconds=settings.server.drain_seconds,
        )
        fresh = keeping_fresh(local.resources, count=app.state.service.metrics.observe_documents)
        async with (
            fresh if indexes else nullcontext(),
            _local_callers(settings, app) if local.lock is not None else nullcontext(),
        ):
            await server.serve(sockets=[listener])


def _announce(settings: Settings, announcement: Announcement) -> None:
    """One log line; and what people read, unless a program reads the log."""
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


def _config(
    app: Any, max_connections: int, refused: Refused | None = None, *, lifespan: Literal["auto", "off"] = "auto"
) -> uvicorn.Config:
    limits = {"max_connections": max_connections, "refused": None if refused is None else staticmethod(refused)}
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        http=type("Connections", (LimitedConnections,), limits),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        server_header=False,
        lifespan=lifespan,
    )


@asynccontextmanager
async def _local_callers(settings: Settings, app: Any) -> AsyncIterator[None]:
    """Answer commands of this machine through the socket in the data directory, without a key."""
    with listening(settings.data_dir) as listener:
        if listener is None:
            yield
            return
        server = uvicorn.Server(_config(LocalCallers(app), settings.server.max_connections, lifespan="off"))
        serving = asyncio.create_task(server._serve([listener]), name="local-callers")  # noqa: SLF001 - serve() would take over the signal handlers
        try:
            yield
        finally:
            server.should_exit = True
            await serving


async def _warm_up(resources: Resources) -> list[str]:
    """Open every index and run the models once, so that the first search does not wait; returns the collections.

    The service starts without models that are down; its readiness and its answers name them.
    """
    mode: SearchMode = "hybrid"
    try:
        await resources.embedder.embed(["warm up"], "query")
    except WinnowError as error:
        log.warning("starting without the embedding model: %s", error.message)
        mode = "sparse"
    rerank = True
    names = [collection.name for collection in await resources.catalog.collections.list()]
    for name in names:
        request = SearchRequest(name, "warm up", mode=mode, rerank=RerankOptions(rerank), budget_ms=WARM_UP_MS)
        try:
            answer = await resources.search.run(request, LOCAL)
            rerank = rerank and answer.rerank.status not in ("failed", "timeout")
        except WinnowError as error:
            log.warning("collection %s cannot be searched: %s", name, error.message)
    return names


def _url(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    reachable: Any = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{reachable}:{port}"
