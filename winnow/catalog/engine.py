"""Connections and transactions: reads never wait for writes, and writes are atomic and durable on return."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from winnow.catalog.failures import translate
from winnow.core.clock import Clock
from winnow.core.errors import InvalidSettings

BUSY_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 10.0
READERS: Final = 4

_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


def database_url(text: str) -> URL:
    """Read a database URL and choose our driver for it: aiosqlite or asyncpg.

    Raises:
        InvalidSettings: not a URL, names another database, or SQLite without a file.
    """
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise InvalidSettings(
            "invalid WINNOW_CATALOG__URL: use a database URL, such as sqlite:///data/winnow.db"
        ) from error
    backend = url.drivername.split("+")[0]
    if backend not in _DRIVERS:
        raise InvalidSettings(f"WINNOW_CATALOG__URL names {backend!r}; the catalog runs on sqlite or postgresql")
    if backend == "sqlite" and url.database in {None, "", ":memory:"}:
        raise InvalidSettings("WINNOW_CATALOG__URL has no file name; use sqlite:///path/to/winnow.db")
    mode = url.query.get("sslmode")  # libpq's name for what asyncpg calls ssl
    if mode is not None:
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    return url.set(drivername=_DRIVERS[backend])


def sqlite_file(url: URL) -> Path | None:
    """The database's file, or ``None`` where the database is a server."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


class Database:
    """One database. On SQLite writes queue for a single connection; on PostgreSQL all share one pool.

    Args:
        url: as ``database_url`` returns it.
        enforce_keys: off while migrations rebuild tables, so that SQLite deletes no rows that refer to them.
    """

    def __init__(self, url: URL, *, enforce_keys: bool = True) -> None:
        self._engines: tuple[AsyncEngine, ...]
        if sqlite_file(url) is None:
            self._reader = self._writer = _postgres_engine(url)
            self._engines = (self._writer,)
        else:
            pragmas = ("journal_mode = WAL", "synchronous = FULL", f"foreign_keys = {int(enforce_keys)}")
            self._writer = _sqlite_engine(url, "BEGIN IMMEDIATE", pragmas, connections=1)
            self._reader = _sqlite_engine(url, "BEGIN", ("query_only = ON",), connections=READERS)
            self._engines = (self._reader, self._writer)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads. It sees one state of the database and waits for no writer (SQLite)."""
        async with _transaction(self._reader) as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write: committed and on stable storage on exit, rolled back on an error."""
        async with _transaction(self._writer) as connection:
            yield connection

    async def close(self) -> None:
        """Close all connections."""
        for engine in self._engines:
            await engine.dispose()


@dataclass
class Repository:
    """A port of the catalog in SQL: every method is one transaction, unless its comment says otherwise."""

    database: Database
    clock: Clock


@asynccontextmanager
async def _transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    try:
        async with engine.begin() as connection:
            yield connection
    except (SQLAlchemyError, OSError) as error:
        raise translate(error) from error


def _dump(value: Any) -> str:
    return orjson.dumps(value).decode()


def _postgres_engine(url: URL) -> AsyncEngine:
    return create_async_engine(
        url,
        json_serializer=_dump,
        json_deserializer=orjson.loads,
        pool_size=8,
        max_overflow=8,
        pool_pre_ping=True,  # a restarted server costs one round trip, not an error
        connect_args={
            "timeout": CONNECT_SECONDS,
            "server_settings": {"application_name": "winnow", "lock_timeout": f"{BUSY_SECONDS:.0f}s"},
        },
    )


def _sqlite_engine(url: URL, begin: str, pragmas: tuple[str, ...], *, connections: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        json_serializer=_dump,
        json_deserializer=orjson.loads,
        pool_size=connections,
        max_overflow=0,
        # without an isolation level sqlite3 opens no transactions: only `begin` does
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
    )
    event.listen(engine.sync_engine, "connect", _set_pragmas(pragmas))
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _set_pragmas(pragmas: tuple[str, ...]) -> Callable[[Any, Any], None]:
    def on_connect(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return on_connect
