"""Clients of a service that runs elsewhere, or of our own, served privately while a command runs.

Either way the command speaks the native HTTP API, so it behaves the same in both cases.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from indexer.bulk.options import RayOptions
from winnow.cli.command import owner_of
from winnow.cli.remote import TIMEOUT_SECONDS, Client, connect_service
from winnow.core.errors import InvalidSettings
from winnow.core.settings import Settings
from winnow.runtime import Local, open_local, running

KEEP_ALIVE_SECONDS = 3600  # reading a source may take its time between two uploads


@asynccontextmanager
async def reach(settings: Settings, url: str | None, *, bulk: RayOptions | None = None) -> AsyncIterator[Client]:
    """Yield a client of the service at ``url``, of the one that owns the data directory, or of our own.

    ``bulk`` has our own embed with Ray.

    Raises:
        InvalidSettings: ``bulk`` was given, but another process does the indexing.
        DataDirectoryLocked: the process that owns the data directory does not serve.
    """
    owner = url or owner_of(settings)
    if owner is not None:
        if bulk is not None:
            raise InvalidSettings(f"--engine ray does not work through {owner}: stop that service, or omit the option")
        async with connect_service(owner) as client:
            yield client
    else:
        async with open_local(settings, bulk=bulk) as local, running(local.worker), hosting(local) as client:
            yield client


@asynccontextmanager
async def hosting(local: Local) -> AsyncIterator[Client]:
    """Serve this process's resources on a private socket and yield a client of it."""
    import uvicorn

    from service.app import create_app

    with tempfile.TemporaryDirectory(prefix="winnow-") as folder:
        socket = str(Path(folder) / "http.sock")
        app = create_app(local.resources.settings, local.resources)
        server = uvicorn.Server(
            uvicorn.Config(app, uds=socket, log_config=None, access_log=False, timeout_keep_alive=KEEP_ALIVE_SECONDS)
        )
        serving = asyncio.create_task(server._serve())  # noqa: SLF001 - serve() would take over the signal handlers
        try:
            await _started(server, serving)
            connector = aiohttp.UnixConnector(socket)
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                yield Client(session, "http://localhost")
        finally:
            server.should_exit = True
            with suppress(asyncio.CancelledError):
                await serving


async def _started(server: object, serving: asyncio.Task[None]) -> None:
    while not getattr(server, "started", False):
        if serving.done():
            await serving
        await asyncio.sleep(0.005)
