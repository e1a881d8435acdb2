"""The source passes the tests of its port."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from winnow_sqlite.source import SqliteSource

from winnow.ports.source import Source, SourceOptions
from winnow.testing.contracts.source import SourceContract


class TestSqlite(SourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
            database.execute("CREATE TABLE products (id TEXT PRIMARY KEY, text TEXT, price REAL)")
            database.executemany(
                "INSERT INTO products VALUES (?, ?, ?)", [("a", "A mill.", 3.5), ("b", "Flour.", None)]
            )
            database.commit()
        return SqliteSource(f"sqlite:{tmp_path / 'shop.db'}#products", SourceOptions())
