"""External sorting of the keys of all points of an index: 100 million of them exceed the memory."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator
from typing import Final

from winnow.ports import PointKey

WRITE_ROWS: Final = 5_000
READ_ROWS: Final = 5_000


class SortedKeys:
    """Takes keys in any order and returns them in the order of document ids (by code point, as the catalog does).

    They are stored in an unnamed database: SQLite spills it to its temporary directory (``SQLITE_TMPDIR``, else
    ``/var/tmp`` or ``/tmp``) and deletes it with the process. Sorting takes some 200 bytes per key.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE keys (document TEXT, revision INTEGER, chunk INTEGER, point BLOB)")
        self._rows: list[tuple[str, int, int, bytes]] = []

    async def add(self, key: PointKey) -> None:
        """Take one key."""
        self._rows.append((key.document_id, key.revision, key.chunk_index, uuid.UUID(key.id).bytes))
        if len(self._rows) >= WRITE_ROWS:
            await self._write()

    async def groups(self) -> AsyncIterator[tuple[str, list[PointKey]]]:
        """Document ids in order, each with its points; a point that was added twice comes once."""
        await self._write()
        query = "SELECT document, revision, chunk, point FROM keys ORDER BY document"
        cursor = await asyncio.to_thread(self._database.execute, query)
        document_id = ""
        group: dict[bytes, PointKey] = {}
        while rows := await asyncio.to_thread(cursor.fetchmany, READ_ROWS):
            for name, revision, chunk, point in rows:
                if group and name != document_id:
                    yield document_id, list(group.values())
                    group = {}
                document_id = name
                group[point] = PointKey(str(uuid.UUID(bytes=point)), name, revision, chunk)
        if group:
            yield document_id, list(group.values())

    async def _write(self) -> None:
        rows, self._rows = self._rows, []
        await asyncio.to_thread(self._database.executemany, "INSERT INTO keys VALUES (?, ?, ?, ?)", rows)

    def close(self) -> None:
        """Delete the keys."""
        self._database.close()
