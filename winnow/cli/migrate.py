"""``winnow migrate``: bring the catalog's database to this version's schema, and leave."""

from __future__ import annotations

import asyncio
from pathlib import Path

from winnow.cli.console import note
from winnow.core.settings import Settings
from winnow.runtime import ADAPTERS, configure_logging, settings_for


def run(*, data_dir: Path | None) -> None:
    """Migrate the catalog; models and vectors are not touched."""
    settings = settings_for(data_dir)
    configure_logging(settings)
    asyncio.run(_migrate(settings))
    note("the catalog has the newest schema")


async def _migrate(settings: Settings) -> None:
    catalog = await ADAPTERS.open_catalog(settings)
    await catalog.close()
