"""``winnow worker`` and ``winnow migrate``: the indexer alone, and the catalog's schema."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from winnow.cli.command import configure, run_loop
from winnow.cli.console import note
from winnow.cli.options import DataDir

if TYPE_CHECKING:
    from winnow.core.settings import Settings


def worker(data_dir: DataDir = None) -> None:
    """Run the indexer's worker alone until SIGINT or SIGTERM; open batches are finished first."""
    run_loop(_work(configure(data_dir, quiet=False)))


def migrate(data_dir: DataDir = None) -> None:
    """Migrate the catalog's database to the schema of this version. Every other command does so at its start."""
    run_loop(_migrate(configure(data_dir, quiet=False)))
    note("the catalog has the newest schema")


async def _work(settings: Settings) -> None:
    from asyncio import get_running_loop

    from winnow.runtime import open_local

    async with open_local(settings) as local:
        loop = get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, local.worker.stop)
        waiting = await local.resources.catalog.queue.backlog()
        note(f"worker {local.worker.owner} started; {waiting:,} documents are pending. Ctrl-C stops it.")
        await local.worker.run()
        note("worker stopped")


async def _migrate(settings: Settings) -> None:
    from winnow.runtime import ADAPTERS

    catalog = await ADAPTERS.open_catalog(settings)
    await catalog.close()
