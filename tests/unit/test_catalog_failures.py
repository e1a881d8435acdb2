"""What a database fails with reaches callers as our own errors, and the right ones invite another try."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from winnow.catalog.engine import database_url
from winnow.catalog.failures import translate
from winnow.catalog.migrate import migrate
from winnow.core.errors import (
    InvalidSettings,
    Overloaded,
    StorageFailure,
    StorageFull,
    UpstreamUnavailable,
    WinnowError,
)


def from_sqlite(code: int, message: str = "it says") -> WinnowError:
    original = sqlite3.OperationalError(message)
    original.sqlite_errorcode = code
    return translate(OperationalError("INSERT … secret", {"text": "secret"}, original))


class PostgresError(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("it says")
        self.sqlstate = sqlstate


def from_postgres(sqlstate: str | None, *, invalidated: bool = False) -> WinnowError:
    return translate(DBAPIError("INSERT … secret", {}, PostgresError(sqlstate), connection_invalidated=invalidated))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_FULL, StorageFull),
        (sqlite3.SQLITE_BUSY, Overloaded),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Overloaded),
        (sqlite3.SQLITE_LOCKED, Overloaded),
        (sqlite3.SQLITE_CORRUPT, StorageFailure),
        (sqlite3.SQLITE_NOTADB, StorageFailure),
        (sqlite3.SQLITE_IOERR_FSYNC, StorageFailure),
        (sqlite3.SQLITE_CONSTRAINT, StorageFailure),
        (sqlite3.SQLITE_READONLY, StorageFailure),
    ],
)
def test_codes_of_sqlite(code: int, expected: type[WinnowError]) -> None:
    assert type(from_sqlite(code)) is expected


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        ("53100", StorageFull),
        ("53300", Overloaded),
        ("40P01", Overloaded),
        ("40001", Overloaded),
        ("55P03", Overloaded),
        ("57014", Overloaded),
        ("57P01", UpstreamUnavailable),
        ("57P03", UpstreamUnavailable),
        ("08006", UpstreamUnavailable),
        ("28P01", StorageFailure),
        ("3D000", StorageFailure),
        ("23505", StorageFailure),
        (None, StorageFailure),
    ],
)
def test_codes_of_postgres(sqlstate: str | None, expected: type[WinnowError]) -> None:
    assert type(from_postgres(sqlstate)) is expected


def test_a_lost_connection_is_an_unavailable_server() -> None:
    assert type(from_postgres(None, invalidated=True)) is UpstreamUnavailable
    assert type(translate(ConnectionRefusedError("refused"))) is UpstreamUnavailable
    assert "TimeoutError" in translate(TimeoutError()).message


def test_an_exhausted_pool_is_overload() -> None:
    assert type(translate(PoolTimeout("no connection"))) is Overloaded


def test_what_may_pass_says_when_to_come_back() -> None:
    passing = [from_sqlite(sqlite3.SQLITE_FULL), from_sqlite(sqlite3.SQLITE_BUSY), from_postgres("08006")]
    assert all(error.retryable and error.retry_after for error in passing)
    assert not from_sqlite(sqlite3.SQLITE_CORRUPT).retryable


def test_messages_hold_neither_statements_nor_values() -> None:
    for error in (from_sqlite(sqlite3.SQLITE_ERROR), from_postgres("23505")):
        assert "it says" in error.message
        assert "secret" not in error.message


def test_a_damaged_file_is_called_that() -> None:
    assert "damaged" in from_sqlite(sqlite3.SQLITE_NOTADB).message


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "winnow.db"
    file.write_bytes(b"x" * 4096)
    with pytest.raises(StorageFailure, match=f"{file} is damaged"):
        migrate(database_url(f"sqlite:///{file}"))


def test_errors_outside_the_database_are_told_as_they_are() -> None:
    assert "odd" in translate(ArgumentError("odd")).message


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:///data/winnow.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:////var/winnow.db", "sqlite+aiosqlite"),
        ("postgresql://me:pw@host/db", "postgresql+asyncpg"),
        ("postgres://host/db", "postgresql+asyncpg"),
        ("postgresql+psycopg://host/db", "postgresql+asyncpg"),
    ],
)
def test_a_url_gets_our_driver(given: str, driver: str) -> None:
    assert database_url(given).drivername == driver


def test_sslmode_is_handed_on_under_the_drivers_name() -> None:
    assert database_url("postgresql://h/db?sslmode=require&x=1").query == {"ssl": "require", "x": "1"}


@pytest.mark.parametrize("given", ["nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_an_unusable_url_is_an_invalid_setting(given: str) -> None:
    with pytest.raises(InvalidSettings, match="WINNOW_CATALOG__URL"):
        database_url(given)


def test_the_error_does_not_repeat_a_password() -> None:
    with pytest.raises(InvalidSettings) as caught:
        database_url("mysql://me:hunter2@host/db")
    assert "hunter2" not in str(caught.value)


def test_the_file_of_a_url_is_kept(tmp_path: Path) -> None:
    assert database_url(f"sqlite:///{tmp_path}/a b.db").database == f"{tmp_path}/a b.db"
