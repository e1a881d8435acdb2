"""Copies of a SQLite catalog: made while it is in use, and checked before they are trusted."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from winnow.core.errors import StorageFailure


def copy_database(source: Path, target: Path) -> None:
    """Copy a database into a new file through SQLite's online backup: one state of it, whatever is being written.

    Raises:
        StorageFailure: SQLite cannot read the one or write the other.
    """
    try:
        with closing(_open(source)) as database, closing(sqlite3.connect(target)) as copy:
            database.backup(copy)  # all pages in one step: in several steps, every write would restart it
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, with no log beside it
    except sqlite3.Error as error:
        raise StorageFailure(f"cannot copy the catalog {source}: {error}") from error


def check_database(path: Path) -> None:
    """Raise ``StorageFailure`` unless SQLite finds every page of the database in order."""
    try:
        with closing(_open(path)) as database:
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise StorageFailure(f"the catalog {path} cannot be read: {error}") from error
    if verdict != "ok":
        raise StorageFailure(f"the catalog {path} is damaged: {verdict}")


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
