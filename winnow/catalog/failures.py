"""Translates database errors into those of ``winnow.core.errors``; only this module reads vendor codes.

::

    SQLite    FULL                               -> StorageFull
              BUSY, LOCKED                       -> Overloaded
              CORRUPT, NOTADB, anything else     -> StorageFailure
    PostgreSQL  53100 disk full                  -> StorageFull
              53*, 40*, 55P03, 57014             -> Overloaded (no resources, deadlock, lock or statement timeout)
              08*, 57P*                          -> UpstreamUnavailable (connection lost, shutting down, starting)
              anything else                      -> StorageFailure
    no connection (refused, reset, timed out)    -> UpstreamUnavailable
    no free connection in the pool               -> Overloaded

Codes: https://www.sqlite.org/rescode.html and https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from winnow.core.errors import Overloaded, StorageFailure, StorageFull, UpstreamUnavailable, WinnowError

RETRY_SECONDS: Final = 1.0

_BUSY: Final = "the catalog is busy with other writes; try again"
_FULL: Final = "the disk of the catalog is full; free some space and try again"
_GONE: Final = (
    "the catalog's database cannot be reached: {}; check that it runs and that WINNOW_CATALOG__URL is correct"
)
_DAMAGED: Final = (
    "the catalog's file {} is damaged or is not an SQLite database: {}; "
    "restore it from a backup or move it out of the way"
)
_FAILED: Final = "the catalog's database failed: {}"

_SQLITE_DAMAGE: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SQLITE_CONTENTION: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_POSTGRES_CONTENTION: Final = ("53", "40", "55P03", "57014")
_POSTGRES_GONE: Final = ("08", "57P")


def translate(error: SQLAlchemyError | OSError, file: str = "") -> WinnowError:
    """The error of ours for an error of a database in ``file``. Its message contains no statements and no values."""
    if isinstance(error, PoolTimeout):
        return Overloaded(_BUSY, retry_after=RETRY_SECONDS)
    if isinstance(error, OSError):
        return UpstreamUnavailable(_GONE.format(str(error) or type(error).__name__), retry_after=RETRY_SECONDS)
    if not isinstance(error, DBAPIError) or error.orig is None:
        return StorageFailure(_FAILED.format(error))
    reason = str(error.orig).strip() or type(error.orig).__name__
    if isinstance(error.orig, sqlite3.Error):
        return _translate_sqlite(error.orig, reason, file)
    return _translate_postgres(error, reason)


def _translate_sqlite(error: sqlite3.Error, reason: str, file: str) -> WinnowError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the low byte is the primary code
    if code == sqlite3.SQLITE_FULL:
        return StorageFull(_FULL, retry_after=RETRY_SECONDS)
    if code in _SQLITE_CONTENTION:
        return Overloaded(_BUSY, retry_after=RETRY_SECONDS)
    return StorageFailure(_DAMAGED.format(file, reason) if code in _SQLITE_DAMAGE else _FAILED.format(reason))


def _translate_postgres(error: DBAPIError, reason: str) -> WinnowError:
    code = str(getattr(error.orig, "sqlstate", None) or "")
    if code == "53100":
        return StorageFull(_FULL, retry_after=RETRY_SECONDS)
    if code.startswith(_POSTGRES_CONTENTION):
        return Overloaded(_BUSY, retry_after=RETRY_SECONDS)
    if error.connection_invalidated or code.startswith(_POSTGRES_GONE):
        return UpstreamUnavailable(_GONE.format(reason), retry_after=RETRY_SECONDS)
    return StorageFailure(_FAILED.format(reason))
