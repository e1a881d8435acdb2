"""The ledger as integrity checks see it, and the work that they order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog import collections, entries, jobs
from winnow.catalog.rules.repair import empty_document, plan_repair
from winnow.catalog.rules.submissions import Order
from winnow.catalog.tables import DOCUMENTS
from winnow.ports import LedgerEntry, Submission

_COLUMNS = (
    DOCUMENTS.c.id,
    DOCUMENTS.c.state,
    DOCUMENTS.c.revision,
    DOCUMENTS.c.indexed_revision,
    DOCUMENTS.c.chunks,
    DOCUMENTS.c.n_chunks,
    DOCUMENTS.c.token,
    DOCUMENTS.c.due_at,
    DOCUMENTS.c.built,
)


async def ledger_entries(
    connection: AsyncConnection, collection: str, *, after: str, limit: int, among: Sequence[str] | None
) -> Sequence[LedgerEntry]:
    """Entries by id, those beyond ``after``."""
    uid = await collections.uid_of(connection, collection)
    statement = select(*_COLUMNS).where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id > after)
    if among is not None:
        statement = statement.where(DOCUMENTS.c.id.in_(among))
    rows = await connection.execute(statement.order_by(DOCUMENTS.c.id).limit(limit))
    return [
        LedgerEntry(
            id=row.id,
            state=row.state,
            revision=row.revision,
            indexed_revision=row.indexed_revision,
            points=() if row.indexed_revision is None else tuple(chunk.point_id for chunk in row.chunks),
            n_chunks=row.n_chunks,
            token=row.token,
            waits=row.due_at is not None,
            built=row.built,
        )
        for row in rows
    ]


async def repair(
    connection: AsyncConnection, collection: str, revisions: Mapping[str, int], order: Order
) -> Submission:
    """Queue damaged documents, with a job."""
    uid = await collections.uid_of(connection, collection, lock=True)
    known = await entries.read(connection, uid, revisions)
    plan = plan_repair(revisions, known, order)
    await entries.add(connection, uid, plan.created, {entry.id: empty_document(entry.id) for entry in plan.created})
    await entries.change(connection, uid, plan.touched)
    await jobs.create(connection, uid, plan.submission, order.now)
    return plan.submission
