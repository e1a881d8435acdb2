"""Catalogs for tests: SQLite in the test's own folder, a copy of a database that is migrated once per process."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from winnow.catalog.build import catalog_of
from winnow.catalog.engine import Database, database_url
from winnow.catalog.migrate import migrate
from winnow.core.clock import Clock, utc_now
from winnow.ports import Catalog


def new_catalog(folder: Path, clock: Clock = utc_now) -> Catalog:
    """The catalog that keeps its data in ``folder``, where the product would; an empty one if there is none yet."""
    file = folder / "winnow.db"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_empty_database())
    return catalog_of(Database(database_url(f"sqlite:///{file}")), clock)


@cache
def _empty_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        file = Path(folder) / "empty.db"
        thread.submit(migrate, database_url(f"sqlite:///{file}")).result()  # which runs an event loop of its own
        return file.read_bytes()
