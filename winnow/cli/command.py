"""Running a command: settings, logging, one event loop, and whatever answers it.

The parts of the product load when a command runs, not when the command line is parsed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from winnow.cli.console import note
from winnow.core.errors import DataDirectoryLocked

if TYPE_CHECKING:
    from pydantic import BaseModel

    from winnow.cli.remote import Client
    from winnow.core.settings import Settings
    from winnow.ports import Catalog

_Answer = TypeVar("_Answer")


def configure(data_dir: Path | None, *, quiet: bool = True, **chosen: Any) -> Settings:
    """Load the settings, those of the command line on top, and set up logging; ``quiet`` logs warnings only."""
    from winnow.cli.logging import configure_logging
    from winnow.core.settings import load_settings

    settings = load_settings(**({} if data_dir is None else {"data_dir": data_dir}), **chosen)
    configure_logging(settings, quiet=quiet)
    return settings


def ask(question: Callable[[Client], Awaitable[_Answer]], url: str | None, settings: Settings) -> _Answer:
    """Answer a question with a client of the service at ``url``, of the data directory's owner, or of our own.

    Raises:
        WinnowError: the service refused or failed.
    """
    from winnow.cli.access import reach

    async def run() -> _Answer:
        async with reach(settings, url) as client:
            return await question(client)

    return asyncio.run(run())


def read_catalog(
    path: str, view: Callable[[Catalog], Awaitable[BaseModel]], url: str | None, settings: Settings, **params: str | int
) -> Any:
    """GET ``path`` from a running service or, without one, return what ``view`` answers in its place.

    Only the catalog is opened for it: no model is loaded, no index opened and no worker started.
    """
    from winnow.runtime import open_catalog_alone

    async def run() -> Any:
        owner = url or owner_of(settings)
        if owner is not None:
            from winnow.cli.remote import connect_service

            async with connect_service(owner) as client:
                return await client.call("GET", path, **params)
        async with open_catalog_alone(settings) as catalog:
            return (await view(catalog)).model_dump(mode="json")

    return asyncio.run(run())


def owner_of(settings: Settings) -> str | None:
    """Address of the service that owns the data directory; ``None`` if the directory is free.

    Raises:
        DataDirectoryLocked: its owner does not serve.
    """
    from winnow.runtime import lock_data

    try:
        with lock_data(settings):
            return None
    except DataDirectoryLocked as error:
        if error.url is None:
            raise
        note(f"{settings.data_dir} is in use by process {error.pid}; using the service at {error.url}")
        return error.url
