"""What PostgreSQL needs after many writes: fresh statistics, and counts with few parts.

The server's own autovacuum takes statistics up to a minute after a large upload, which is long enough for thousands of
statements with plans for an empty table. Each process looks at this after a number of rows that it wrote; which of them
does it does not matter, and doing it twice does no harm.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog.engine import Database, allow_long
from winnow.core.errors import WinnowError

log = logging.getLogger(__name__)

ROWS: Final = 5000  # written by this process between two looks
CHANGED: Final = 0.1  # share of a table's rows that must have changed since its statistics were taken

# columns that statements choose by: nothing is gained from statistics of texts
_ANALYZED: Final = {
    "documents": "documents (collection_uid, id, state, priority, submitted_at, due_at)",
    "contents": "contents (collection_uid, id)",
    "jobs": "jobs (id, collection_uid, finished_at)",
}
_OUTDATED: Final = text(
    "SELECT relname, pg_has_role(relowner, 'USAGE') AS ours FROM pg_class WHERE oid IN ("
    "'documents'::regclass, 'contents'::regclass, 'jobs'::regclass) "
    "AND pg_stat_get_mod_since_analyze(oid) >= greatest(:rows, reltuples * :share)"
)
_ALONE: Final = text("SELECT pg_try_advisory_xact_lock(:key)")
_LOCK: Final = 0x5354415453  # "STATS": one process at a time
_FOLD: Final = text(
    "WITH gone AS (DELETE FROM document_counts RETURNING *) "
    "INSERT INTO document_counts (collection_uid, state, part, documents, chunks) "
    "SELECT collection_uid, state, txid_current(), sum(documents), sum(chunks) FROM gone "
    "GROUP BY collection_uid, state HAVING sum(documents) <> 0 OR sum(chunks) <> 0"
)


class TableMaintenance:
    """Takes statistics and merges counts in the background, after this process wrote many rows (PostgreSQL)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._written = 0
        self._task: asyncio.Task[None] | None = None
        self._told = False

    def wrote(self, rows: int) -> None:
        """Count rows that were committed."""
        self._written += rows
        if self._written < ROWS or not self._database.is_server or (self._task and not self._task.done()):
            return
        self._written = 0
        self._task = asyncio.create_task(self._run(), name="catalog-maintenance")

    async def close(self) -> None:
        """Wait until what has begun is done."""
        if self._task is not None:
            await self._task

    async def run(self) -> None:
        """Do it now.

        Raises:
            WinnowError: the database failed.
        """
        for step in (self._fold, self._analyze):
            async with self._database.write() as connection:
                if await connection.scalar(_ALONE, {"key": _LOCK}):
                    await step(connection)

    async def _fold(self, connection: AsyncConnection) -> None:
        await connection.execute(_FOLD)

    async def _run(self) -> None:
        try:
            await self.run()
        except WinnowError as error:
            self._tell("statistics of the catalog were not taken: %s", error.message)

    async def _analyze(self, connection: AsyncConnection) -> None:
        await allow_long(connection)
        for table, ours in await connection.execute(_OUTDATED, {"rows": ROWS, "share": CHANGED}):
            if ours:
                await connection.execute(text(f"ANALYZE {_ANALYZED[table]}"))
            else:
                self._tell("only the owner of table %s may take its statistics; autovacuum takes them later", table)

    def _tell(self, message: str, detail: str) -> None:
        if not self._told:
            log.warning(message, detail)
        self._told = True
