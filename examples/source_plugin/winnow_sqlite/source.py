"""The source: ``sqlite:FILE#TABLE``, whose rows are documents."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from winnow.core.errors import InvalidSource
from winnow.core.types import Document, FieldType
from winnow.ports.source import Failure, SourceItem, SourceOptions

BATCH_ROWS: Final = 256

_OWN: Final = ("id", "text", "title", "url")


class SqliteSource:
    """The rows of one table, in the order of their ids.

    Raises:
        InvalidSource: the file or the table does not exist, or the table has no columns ``id`` and ``text``.
    """

    is_complete = True
    fields: Mapping[str, FieldType] = MappingProxyType({})  # --field declares what filters may use

    def __init__(self, spec: str, options: SourceOptions) -> None:  # noqa: ARG002 - of the port; none applies here
        name, _, self._table = spec.removeprefix("sqlite:").partition("#")
        self._path = Path(name).expanduser().resolve()
        if not name or not self._table or not self._path.is_file():
            raise InvalidSource(f"{spec!r} is not sqlite:FILE#TABLE with a file that exists")
        try:
            with closing(self._connect()) as database:
                columns = [row[1] for row in database.execute(f"PRAGMA table_info({_quoted(self._table)})")]
        except sqlite3.DatabaseError as error:
            raise InvalidSource(f"{self._path} cannot be read: {error}") from None
        if missing := {"id", "text"} - set(columns):
            raise InvalidSource(f"{spec!r} has no column {' and '.join(sorted(missing))}; its columns: {columns}")
        self.label = f"sqlite:{self._path}#{self._table}"

    async def count(self) -> int | None:
        """Exact."""
        return await asyncio.to_thread(self._count)

    async def read(self) -> AsyncGenerator[SourceItem, None]:
        """Yield the rows; what the database cannot read fails, and the rows before it are kept."""
        rows = self._rows()
        try:
            while batch := await asyncio.to_thread(_take, rows):
                for row in batch:
                    yield _document(row)
        except sqlite3.DatabaseError as error:
            # without a document's id: what was not read is not missing
            yield Failure(self.label, "unreadable", f"the table cannot be read to its end: {error}")
        finally:
            await asyncio.to_thread(rows.close)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, check_same_thread=False)

    def _count(self) -> int:
        with closing(self._connect()) as database:
            return int(database.execute(f"SELECT count(*) FROM {_quoted(self._table)}").fetchone()[0])  # noqa: S608 - quoted

    def _rows(self) -> Iterator[dict[str, Any]]:
        with closing(self._connect()) as database:
            cursor = database.execute(f"SELECT * FROM {_quoted(self._table)} ORDER BY id")  # noqa: S608 - quoted
            names = [column[0] for column in cursor.description]
            for row in cursor:
                yield dict(zip(names, row, strict=True))


def _document(row: dict[str, Any]) -> Document:
    own = {name: "" if row.get(name) is None else str(row[name]) for name in _OWN}
    rest = {key: value for key, value in row.items() if key not in _OWN and isinstance(value, str | int | float)}
    return Document(**own, metadata=rest)


def _take(rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row, _ in zip(rows, range(BATCH_ROWS), strict=False)]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
