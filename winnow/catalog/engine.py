"""Connections and transactions: reads never wait for writes, and writes are atomic and durable on return.

On PostgreSQL the server itself ends a statement that runs too long, a transaction that lies idle, and a statement whose
client is gone: none of them may go on holding locks, or a snapshot that keeps dead rows from being removed. A cancelled
task cancels its statement on the server (asyncpg does).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from winnow.catalog.failures import translate
from winnow.core.clock import Clock
from winnow.core.errors import InvalidSettings

BUSY_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 10.0
READERS: Final = 4
STATEMENT_SECONDS: Final = 30.0
LONG_SECONDS: Final = 3600.0
UNLIMITED: Final = 0.0

# a claim walks the queue's index in its order. With statistics that are out of date PostgreSQL may else believe that a
# collection has hardly any rows, read all of them and sort them
_KEEP_INDEX_ORDER: Final = text(
    "SELECT set_config('enable_indexscan', 'on', true), set_config('enable_sort', 'off', true), "
    "set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), "
    "set_config('max_parallel_workers_per_gather', '0', true)"
)
_ALLOW_LONG: Final = text("SELECT set_config('statement_timeout', :limit, true)")
# the server looks whether the client is still there; a setting of PostgreSQL 14 and above
_WATCH_CLIENT: Final = (
    "SELECT set_config(name, '1s', false) FROM pg_settings WHERE name = 'client_connection_check_interval'"
)

_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


def database_url(url_text: str) -> URL:
    """Read a database URL and choose our driver for it: aiosqlite or asyncpg.

    Raises:
        InvalidSettings: not a URL, names another database, or SQLite without a file.
    """
    try:
        url = make_url(url_text)
    except (ArgumentError, ValueError):  # whose message may quote a part of a password
        raise InvalidSettings(
            "invalid WINNOW_CATALOG__URL: use postgresql://USER:PASSWORD@HOST:5432/NAME or sqlite:///data/winnow.db; "
            "a password is URL-encoded (@ as %40, / as %2F, : as %3A)"
        ) from None
    if "@" in (url.host or ""):
        raise InvalidSettings("WINNOW_CATALOG__URL: the password contains @, which is written %40 in a URL")
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
        statement_seconds: time limit of a statement, and of a pause within a transaction (PostgreSQL); 0: none.
    """

    def __init__(self, url: URL, *, enforce_keys: bool = True, statement_seconds: float = STATEMENT_SECONDS) -> None:
        self.writes = 0  # transactions that may have written something, of this process
        self._engines: tuple[AsyncEngine, ...]
        self.file = sqlite_file(url)
        self.is_server = self.file is None
        if self.is_server:
            self._reader = self._writer = _postgres_engine(url, statement_seconds)
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
        try:
            async with _transaction(self._writer) as connection:
                yield connection
        finally:
            self.writes += 1

    def pools(self) -> dict[str, tuple[int, int]]:
        """Connections in use, and those that there may be at most, by the name of their pool."""
        named = (
            {"catalog": self._writer} if self.is_server else {"catalog": self._reader, "catalog:write": self._writer}
        )
        return {name: _use(engine) for name, engine in named.items()}

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
        raise translate(error, engine.url.database or "") from error


async def allow_long(connection: AsyncConnection, seconds: float = LONG_SECONDS) -> None:
    """Give the statements of this transaction more time than the usual limit (PostgreSQL); 0: no limit."""
    if connection.dialect.name == "postgresql":
        await connection.execute(_ALLOW_LONG, {"limit": _milliseconds(seconds)})


async def keep_index_order(connection: AsyncConnection) -> None:
    """Have this transaction's statements walk indexes in their order, whatever the statistics say (PostgreSQL)."""
    if connection.dialect.name == "postgresql":
        await connection.execute(_KEEP_INDEX_ORDER)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


def dump_json(value: Any) -> str:
    """A value of a JSON column as text."""
    return orjson.dumps(value).decode()


def _postgres_engine(url: URL, statement_seconds: float) -> AsyncEngine:
    limit = _milliseconds(statement_seconds)
    engine = create_async_engine(
        url,
        json_serializer=dump_json,
        json_deserializer=orjson.loads,
        pool_size=8,
        max_overflow=8,
        pool_pre_ping=True,  # a restarted server costs one round trip, not an error
        connect_args={
            "timeout": CONNECT_SECONDS,
            "server_settings": {
                "application_name": "winnow",
                "lock_timeout": _milliseconds(BUSY_SECONDS),
                "statement_timeout": limit,
                "idle_in_transaction_session_timeout": limit,
                "jit": "off",  # compiling takes longer than any statement of ours
                # every join of ours leads from few rows to a primary key
                "enable_hashjoin": "off",
                "enable_mergejoin": "off",
            },
        },
    )
    event.listen(engine.sync_engine, "connect", _watch_client)
    return engine


def _use(engine: AsyncEngine) -> tuple[int, int]:
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout(), pool.size() + max(0, pool._max_overflow)  # noqa: SLF001 - nothing else tells it


def _watch_client(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(_WATCH_CLIENT)
    cursor.close()


def _sqlite_engine(url: URL, begin: str, pragmas: tuple[str, ...], *, connections: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        json_serializer=dump_json,
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
