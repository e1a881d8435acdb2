"""Every key of an index on disk, to be read back document by document: 100 million of them fit no memory."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Final, Self

from winnow.ports import PointKey

WRITE_ROWS: Final = 5_000
READ_ROWS: Final = 5_000

_Row = tuple[str, int, int, bytes]


class SortedKeys:
    """Keys in the order in which they come, then in the order of document ids (by code point, as the catalog has it).

    They lie in a database without a name: SQLite spills it to its temporary directory (``SQLITE_TMPDIR``, else
    ``/var/tmp`` or ``/tmp``), some 100 bytes a key twice over while it sorts, and nothing of it outlives the process.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE keys (document TEXT, revision INTEGER, chunk INTEGER, point BLOB)")
        self._rows: list[_Row] = []

    async def add(self, key: PointKey) -> None:
        """Take one key."""
        self._rows.append((key.document_id, key.revision, key.chunk_index, uuid.UUID(key.id).bytes))
        if len(self._rows) >= WRITE_ROWS:
            await self._write()

    async def groups(self) -> AsyncIterator[tuple[str, list[PointKey]]]:
        """Document ids in order, each with its points; a point that was listed twice is there once."""
        await self._write()
        cursor = await asyncio.to_thread(self._sorted)
        group: dict[str, PointKey] = {}
        document_id: str | None = None
        while rows := await asyncio.to_thread(cursor.fetchmany, READ_ROWS):
            for name, revision, chunk, point in rows:
                if name != document_id:
                    if document_id is not None:
                        yield document_id, list(group.values())
                    document_id, group = name, {}
                key = PointKey(str(uuid.UUID(bytes=point)), name, revision, chunk)
                group[key.id] = key
        if document_id is not None:
            yield document_id, list(group.values())

    def _sorted(self) -> sqlite3.Cursor:
        return self._database.execute("SELECT document, revision, chunk, point FROM keys ORDER BY document")

    async def _write(self) -> None:
        rows, self._rows = self._rows, []
        await asyncio.to_thread(self._insert, rows)

    def _insert(self, rows: Sequence[_Row]) -> None:
        self._database.execute("BEGIN")
        self._database.executemany("INSERT INTO keys VALUES (?, ?, ?, ?)", rows)
        self._database.execute("COMMIT")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
