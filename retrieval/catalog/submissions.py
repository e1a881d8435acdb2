"""What users change: documents handed in and documents to be deleted."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from retrieval.catalog import collections, entries, jobs
from retrieval.catalog.planning import Batch, Order, Plan, plan_submission, plan_tombstones
from retrieval.catalog.tallies import Tally
from retrieval.ports import Submission


async def submit(connection: AsyncConnection, collection: str, batch: Batch, order: Order) -> Submission:
    """Store a batch with its job."""
    uid = await collections.uid_of(connection, collection, lock=True)
    known = await entries.read(connection, uid, [item.document.id for item in batch.incoming])
    plan = plan_submission(batch, known, order)
    by_id = {item.document.id: item.document for item in batch.incoming}
    await entries.add(connection, uid, plan.created, by_id)
    await entries.change_content(connection, uid, plan.revised, by_id)
    return await _record(connection, uid, plan, order)


async def tombstone(
    connection: AsyncConnection, collection: str, document_ids: Sequence[str], order: Order
) -> Submission:
    """Mark documents for deletion, with a job."""
    uid = await collections.uid_of(connection, collection, lock=True)
    known = await entries.read(connection, uid, set(document_ids))
    return await _record(connection, uid, plan_tombstones(document_ids, known, order), order)


async def _record(connection: AsyncConnection, uid: str, plan: Plan, order: Order) -> Submission:
    await entries.change(connection, uid, [*plan.revised, *plan.touched])
    await jobs.create(connection, uid, plan.submission, order.now)
    tally = Tally()
    tally.supersede(plan.superseded)
    await jobs.add(connection, tally, order.now)
    return plan.submission
