"""Documents that were deleted a short while ago.

Their revision numbers go on if they come back, so that no point id is ever used for two contents, and their points are
removed a second time, after the last write of a worker that was stalled when they were deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog import collections
from winnow.catalog.entries import slices
from winnow.catalog.tables import COLLECTIONS, REMOVALS
from winnow.ports import Removal


async def last_revisions(connection: AsyncConnection, uid: str, document_ids: Iterable[str]) -> dict[str, int]:
    """The last revision of those of these documents that were deleted a short while ago."""
    found: dict[str, int] = {}
    for some in slices(sorted(document_ids)):
        statement = select(REMOVALS.c.id, REMOVALS.c.revision)
        rows = await connection.execute(statement.where(REMOVALS.c.collection_uid == uid, REMOVALS.c.id.in_(some)))
        found.update((row.id, row.revision) for row in rows)
    return found


async def record(connection: AsyncConnection, uid: str, removed: Mapping[str, int], due_at: datetime) -> None:
    """Remember the last revisions of documents whose points are gone."""
    if not removed:
        return
    before = await last_revisions(connection, uid, removed)
    await _delete(connection, uid, list(before))
    rows = [
        {"collection_uid": uid, "id": id_, "revision": max(revision, before.get(id_, 0)), "due_at": due_at}
        for id_, revision in removed.items()
    ]
    for some in slices(rows):
        await connection.execute(insert(REMOVALS), list(some))


async def due(connection: AsyncConnection, *, limit: int, now: datetime) -> list[Removal]:
    """Removals that are to be done once more, oldest first."""
    statement = (
        select(COLLECTIONS.c.name, REMOVALS.c.id, REMOVALS.c.revision)
        .join(COLLECTIONS, COLLECTIONS.c.uid == REMOVALS.c.collection_uid)
        .where(REMOVALS.c.due_at <= now, COLLECTIONS.c.status == "ready")
    )
    rows = await connection.execute(statement.order_by(REMOVALS.c.due_at, REMOVALS.c.id).limit(limit))
    return [Removal(*row) for row in rows]


async def forget(connection: AsyncConnection, removals: Sequence[Removal], now: datetime) -> None:
    """Forget removals that were done once more, unless their documents were deleted again since."""
    for name in sorted({removal.collection for removal in removals}):
        uid = await collections.find_uid(connection, name)
        if uid is not None:
            mine = [removal.document_id for removal in removals if removal.collection == name]
            await _delete(connection, uid, mine, until=now)


async def _delete(
    connection: AsyncConnection, uid: str, document_ids: Sequence[str], *, until: datetime | None = None
) -> None:
    for some in slices(document_ids):
        statement = delete(REMOVALS).where(REMOVALS.c.collection_uid == uid, REMOVALS.c.id.in_(some))
        await connection.execute(statement if until is None else statement.where(REMOVALS.c.due_at <= until))
