"""Running a command: settings, logging, an event loop, and a client of the service that answers.

That service runs elsewhere, or it is our own, served privately while the command runs. The command speaks the native
HTTP API to both. The parts of the product load when a command runs, not when the command line is parsed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from winnow.cli.console import note
from winnow.core.errors import DataDirectoryLocked, InvalidSettings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from indexer.bulk.options import RayOptions
    from winnow.cli.remote import Client
    from winnow.core.principal import Principal
    from winnow.core.settings import Settings
    from winnow.ports import Catalog
    from winnow.runtime import Local

KEEP_ALIVE_SECONDS: Final = 3600  # reading a source may take its time between two uploads

_Answer = TypeVar("_Answer")


def configure(data_dir: Path | None, *, quiet: bool = True, **chosen: Any) -> Settings:
    """Load the settings, those of ``chosen`` that are not ``None`` on top, and set up logging.

    ``quiet`` is for commands that print their result: of the default level only warnings remain.
    """
    from winnow.cli.logging import configure_logging
    from winnow.core.settings import load_settings

    chosen["data_dir"] = data_dir
    settings = load_settings(**{key: value for key, value in chosen.items() if value is not None})
    configure_logging(settings, quiet=quiet)
    return settings


def run_loop(main: Coroutine[Any, Any, _Answer]) -> _Answer:
    """Run a coroutine to its end on an event loop of its own."""
    import asyncio

    return asyncio.run(main)


def ask(
    question: Callable[[Client], Awaitable[_Answer]],
    url: str | None,
    settings: Settings,
    *,
    keeps_fresh: bool = False,
    heals: bool = True,
) -> _Answer:
    """Answer a question with a client of the service at ``url``, of the data directory's owner, or of our own.

    ``keeps_fresh`` has our own read the sources that are due, as a service does; ``heals`` make lost indexes again.

    Raises:
        WinnowError: the service refused or failed.
    """

    async def answer() -> _Answer:
        async with reach(settings, url, keeps_fresh=keeps_fresh, heals=heals) as client:
            return await question(client)

    return run_loop(answer())


def read_catalog(
    path: str,
    view: Callable[[Catalog, Principal], Awaitable[BaseModel]],
    url: str | None,
    settings: Settings,
    **params: str | int,
) -> Any:
    """GET ``path`` from a running service or, without one, return what ``view`` answers in its place."""
    return through_catalog(lambda client: client.call("GET", path, **params), view, url, settings)


def through_catalog(
    question: Callable[[Client], Awaitable[Any]],
    view: Callable[[Catalog, Principal], Awaitable[BaseModel]],
    url: str | None,
    settings: Settings,
) -> Any:
    """Ask a running service or, without one, return what ``view`` answers in its place.

    Only the catalog is opened for it: no model is loaded, no index opened and no worker started.
    """

    async def answer() -> Any:
        if owner := url or owner_of(settings):
            async with _connect(owner, url, settings) as client:
                return await question(client)
        from winnow.core.principal import LOCAL
        from winnow.storage import open_catalog_alone

        async with open_catalog_alone(settings) as catalog:
            return (await view(catalog, LOCAL)).model_dump(mode="json")

    return run_loop(answer())


@asynccontextmanager
async def reach(
    settings: Settings,
    url: str | None,
    *,
    bulk: RayOptions | None = None,
    keeps_fresh: bool = False,
    heals: bool = True,
) -> AsyncIterator[Client]:
    """Yield a client of the service at ``url``, of the one that owns the data directory, or of our own.

    ``bulk`` has our own embed with Ray, ``keeps_fresh`` read sources that are due, ``heals`` make lost indexes again.

    Raises:
        InvalidSettings: ``bulk`` was given, but another process does the indexing.
        DataDirectoryLocked: the process that owns the data directory does not serve.
    """
    from winnow.background import keeping_fresh, running
    from winnow.runtime import open_local

    if owner := url or owner_of(settings):
        if bulk is not None:
            raise InvalidSettings(f"--engine ray does not work through {owner}: stop that service, or omit the option")
        async with _connect(owner, url, settings) as client:
            yield client
    else:
        async with (
            open_local(settings, bulk=bulk, heals=heals) as local,
            running(local.worker),
            hosting(local) as client,
            keeping_fresh(local.resources) if keeps_fresh else nullcontext(),
        ):
            yield client


@asynccontextmanager
async def hosting(local: Local) -> AsyncIterator[Client]:
    """Serve this process's resources on a private socket and yield a client of it."""
    import asyncio
    import tempfile

    import aiohttp
    import uvicorn

    from service.access import LocalCallers
    from service.app import create_app
    from winnow.cli.remote import TIMEOUT_SECONDS, Client

    with tempfile.TemporaryDirectory(prefix="winnow-") as folder:
        socket = str(Path(folder) / "http.sock")
        app = create_app(local.resources.settings, local.resources)
        server = uvicorn.Server(
            uvicorn.Config(
                LocalCallers(app),
                uds=socket,
                log_config=None,
                access_log=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
            )
        )
        serving = asyncio.create_task(server._serve())  # noqa: SLF001 - serve() would take over the signal handlers
        try:
            while not server.started:
                if serving.done():
                    await serving
                await asyncio.sleep(0.005)
            connector, timeout = aiohttp.UnixConnector(socket), aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                yield Client(session, "http://localhost")
        finally:
            server.should_exit = True
            with suppress(asyncio.CancelledError):
                await serving


def _connect(owner: str, url: str | None, settings: Settings) -> AbstractAsyncContextManager[Client]:
    """A client of the service at ``owner``, through the socket in the data directory unless its ``url`` was given."""
    from winnow.cli.remote import connect_service

    return connect_service(owner, data_dir=None if url else settings.data_dir)


def owner_of(settings: Settings) -> str | None:
    """Address of the service that owns the data directory; ``None`` if the directory is free.

    Raises:
        DataDirectoryLocked: its owner does not serve.
    """
    from winnow.storage import lock_data

    try:
        with lock_data(settings):
            return None
    except DataDirectoryLocked as error:
        if error.url is None:
            raise
        note(f"{settings.data_dir} is in use by process {error.pid}; using the service at {error.url}")
        return error.url
