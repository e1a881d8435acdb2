"""What users change: documents handed in and documents to be deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog import collections, entries, jobs, removals
from winnow.catalog.rules.entries import Entry
from winnow.catalog.rules.job_counters import JobCounters
from winnow.catalog.rules.retry_cancel import deletion_stays, plan_cancellation, plan_retry
from winnow.catalog.rules.submissions import IncomingBatch, LedgerChange, Order, plan_submission, plan_tombstones
from winnow.ports import Submission


async def submit(connection: AsyncConnection, collection: str, batch: IncomingBatch, order: Order) -> Submission:
    """Store a batch with its job."""
    uid = await collections.uid_of(connection, collection, lock=True)
    known = await entries.read(connection, uid, [item.document.id for item in batch.incoming])
    new = {item.document.id for item in batch.incoming} - known.keys()
    plan = plan_submission(batch, known, await removals.last_revisions(connection, uid, new), order)
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


async def requeue_failures(connection: AsyncConnection, job_id: str, order: Order) -> Submission:
    """Queue what failed in a job, with a job of its own."""
    uid = await jobs.collection_of(connection, job_id)
    known = await entries.read(connection, uid, await jobs.failed_documents(connection, job_id))
    again = plan_retry(known.values(), job_id, order)
    if not again:
        return Submission("", 0, 0)
    return await _record(connection, uid, _touching(again, order), order)


async def cancel(connection: AsyncConnection, job_id: str, after: str, order: Order) -> str | None:
    """Cancel some of the documents that a job waits for, those beyond ``after`` by id.

    Returns:
        The id to go on after, or ``None`` where nothing is left: so that no transaction is a large one.
    """
    uid = await jobs.collection_of(connection, job_id)
    waiting = await entries.waiting_for(connection, uid, job_id, after=after)
    known = await entries.read(connection, uid, waiting)
    if any(entry.state == "deleting" and entry.job_id == job_id for entry in known.values()):
        raise deletion_stays(job_id)
    found = plan_cancellation(known.values(), job_id, order)
    await entries.change(connection, uid, found.stopped)
    if found.removed:
        await _record(connection, uid, _touching(found.removed, order), order)
    job_counters = JobCounters()
    job_counters.cancel(job_id, len(found.removed) + len(found.stopped))
    await jobs.add(connection, job_counters, order.now)
    return waiting[-1] if waiting else None


def _touching(touched: tuple[Entry, ...], order: Order) -> LedgerChange:
    return LedgerChange(Submission(order.job_id, len(touched), 0), (), (), touched, Counter())


async def _record(connection: AsyncConnection, uid: str, plan: LedgerChange, order: Order) -> Submission:
    await entries.change(connection, uid, [*plan.revised, *plan.touched])
    await jobs.create(connection, uid, plan.submission, order.now)
    job_counters = JobCounters()
    job_counters.supersede(plan.superseded)
    await jobs.add(connection, job_counters, order.now)
    return plan.submission
