"""Which documents both indexes of a collection hold, in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, null, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog.rules.entries import REEMBED_PRIORITY
from winnow.catalog.rules.index_pair import FAILURES_NAMED
from winnow.catalog.tables import COLLECTIONS, DOCUMENTS
from winnow.core.types import Collection
from winnow.ports import JobFailure, ReembedProgress


async def progress(connection: AsyncConnection, collection: Collection) -> ReembedProgress:
    """As ``LedgerAudit.reembed_progress``, within a transaction."""
    newer = collection.newer_generation
    if newer is None:
        return ReembedProgress(0, 0, 0)
    mine = (DOCUMENTS.c.collection_uid == collection.uid, DOCUMENTS.c.indexed_revision.is_not(null()))
    found = (*mine, DOCUMENTS.c.state != "deleting")
    lacking = and_(DOCUMENTS.c.state.in_(("indexed", "pending")), is_behind(newer))  # a switch would lose them
    lost = and_(is_behind(newer), DOCUMENTS.c.error.is_not(null()), DOCUMENTS.c.due_at.is_(None))
    counted = (DOCUMENTS.c.built == newer, lacking, and_(lacking, lost))
    row = (await connection.execute(select(func.count(), *map(_count, counted)).where(*found))).one()
    columns = (DOCUMENTS.c.id, DOCUMENTS.c.error_code, DOCUMENTS.c.error)
    named = select(*columns).where(*found, lost).order_by(DOCUMENTS.c.id).limit(FAILURES_NAMED)
    return ReembedProgress(
        row[0], row[1], row[2], row[3], tuple(JobFailure(*each) for each in await connection.execute(named))
    )


async def waiting_reembeddings(connection: AsyncConnection) -> int:
    """The number of documents that wait for nothing but the second index; no job waits for them."""
    uids = list(await connection.scalars(select(COLLECTIONS.c.uid).where(COLLECTIONS.c.other.is_not(null()))))
    waiting = (DOCUMENTS.c.priority == REEMBED_PRIORITY, DOCUMENTS.c.due_at.is_not(null()))
    statement = select(func.count()).select_from(DOCUMENTS).where(*waiting, DOCUMENTS.c.state == "indexed")
    return sum([await connection.scalar(statement.where(DOCUMENTS.c.collection_uid == uid)) or 0 for uid in uids])


def is_behind(newer: int) -> ColumnElement[bool]:
    """The condition that a document is not in both indexes, of which ``newer`` is the higher number."""
    return or_(DOCUMENTS.c.built.is_(None), DOCUMENTS.c.built != newer)


def _count(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
