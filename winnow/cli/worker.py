"""``winnow worker``: the indexer's worker alone."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from winnow.cli.console import note
from winnow.core.settings import Settings
from winnow.runtime import configure_logging, open_local, settings_for


def run(*, data_dir: Path | None) -> None:
    """Work until SIGINT or SIGTERM; batches in hand are finished first."""
    settings = settings_for(data_dir)
    configure_logging(settings)
    asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    async with open_local(settings) as local:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, local.worker.stop)
        waiting = await local.resources.catalog.queue.backlog()
        note(f"worker {local.worker.owner} started; {waiting:,} documents wait. Ctrl-C stops it.")
        await local.worker.run()
        note("worker stopped")
