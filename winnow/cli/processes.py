"""``winnow serve``, ``worker`` and ``migrate``: the service, the indexer alone, and the catalog's schema."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from winnow.cli.command import configure, run_loop
from winnow.cli.console import note
from winnow.cli.options import DataDir

if TYPE_CHECKING:
    import socket

    from winnow.core.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (default: 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one (default: 8000).")] = None,
    data_dir: DataDir = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen on other addresses than loopback without a key.")
    ] = False,
    with_worker: Annotated[
        bool, typer.Option("--with-worker", help="Index in this process even if all storage is on servers.")
    ] = False,
) -> None:
    """Serve searches and uploads over HTTP.

    With embedded storage the worker runs in the same process; with server storage `winnow worker` indexes.
    """
    chosen = {"host": host, "port": port, "insecure": insecure or None}
    server = {key: value for key, value in chosen.items() if value is not None}
    settings = configure(data_dir, quiet=False, server=server or None)
    from winnow.cli.server import run_server

    run_server(settings, with_worker=with_worker)


def worker(
    data_dir: DataDir = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that share the work (default: the number of cores, at most 8, with remote models; 1).",
        ),
    ] = None,
) -> None:
    """Run the indexer's worker alone until SIGINT or SIGTERM; open batches are finished first."""
    settings = configure(data_dir, quiet=False)
    from winnow.cli.operations_port import bind_operations
    from winnow.cli.worker_pool import run_pool, worker_count

    count = worker_count(processes, settings)
    if count > 1:
        raise typer.Exit(run_pool(count, data_dir, settings.operations))
    with bind_operations(settings.operations) as listener:
        run_worker(settings, listener)


def run_worker(settings: Settings, listener: socket.socket | None, lifeline: int | None = None) -> None:
    """Run one worker in this process until SIGINT or SIGTERM, or until the file descriptor ``lifeline`` ends.

    It reports on itself to who connects to ``listener``.
    """
    import structlog
    import uvloop

    from winnow.background import keeping_fresh
    from winnow.cli.operations_port import operations_port
    from winnow.cli.tracing import tracing
    from winnow.cli.worker_reports import WorkerReports
    from winnow.core.gc_tuning import tune_gc
    from winnow.core.package import winnow_version
    from winnow.runtime import open_local

    log = structlog.get_logger("winnow.worker")

    async def work() -> None:
        from asyncio import get_running_loop

        loop = get_running_loop()
        async with operations_port(listener) as port, open_local(settings) as local:
            port.reports = WorkerReports.of(local)
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, local.worker.stop)

            def watch(lifeline: int) -> None:
                if not os.read(lifeline, 1):
                    loop.remove_reader(lifeline)
                    local.worker.stop()

            if lifeline is not None:
                loop.add_reader(lifeline, watch, lifeline)
            pending = await local.resources.catalog.queue.backlog()
            log.info("worker started", owner=local.worker.owner, pending=pending, version=winnow_version())
            tune_gc()
            async with keeping_fresh(local.resources):
                await local.worker.run()
            log.info("worker stopped", owner=local.worker.owner)

    with tracing(settings):
        uvloop.run(work())


def migrate(data_dir: DataDir = None) -> None:
    """Migrate the catalog's database to the schema of this version. Every other command does so at its start."""

    async def work() -> None:
        from winnow.runtime import ADAPTERS

        await (await ADAPTERS.open_catalog(settings)).close()

    settings = configure(data_dir, quiet=False)
    run_loop(work())
    note(f"the catalog {settings.catalog_name} has the newest schema")
