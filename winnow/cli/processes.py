"""``winnow serve``, ``worker`` and ``migrate``: the service, the indexer alone, and the catalog's schema."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from winnow.cli.command import configure, run_loop
from winnow.cli.console import note
from winnow.cli.options import DataDir
from winnow.core.text import counted


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (default: 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one (default: 8000).")] = None,
    data_dir: DataDir = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen on other addresses than loopback without a key.")
    ] = False,
) -> None:
    """Serve searches and uploads over HTTP. With embedded storage the worker runs in the same process."""
    chosen = {"host": host, "port": port, "insecure": insecure or None}
    server = {key: value for key, value in chosen.items() if value is not None}
    settings = configure(data_dir, quiet=False, server=server or None)
    from winnow.cli.server import run_server

    run_server(settings)


def worker(data_dir: DataDir = None) -> None:
    """Run the indexer's worker alone until SIGINT or SIGTERM; open batches are finished first."""

    async def work() -> None:
        from asyncio import get_running_loop

        from winnow.runtime import open_local

        async with open_local(settings) as local:
            for number in (signal.SIGINT, signal.SIGTERM):
                get_running_loop().add_signal_handler(number, local.worker.stop)
            pending = counted(await local.resources.catalog.queue.backlog(), "document")
            note(f"worker {local.worker.owner} started; {pending} pending. Ctrl-C stops it.")
            await local.worker.run()
            note("worker stopped")

    settings = configure(data_dir, quiet=False)
    run_loop(work())


def migrate(data_dir: DataDir = None) -> None:
    """Migrate the catalog's database to the schema of this version. Every other command does so at its start."""

    async def work() -> None:
        from winnow.runtime import ADAPTERS

        await (await ADAPTERS.open_catalog(settings)).close()

    settings = configure(data_dir, quiet=False)
    run_loop(work())
    note("the catalog has the newest schema")
