"""Jobs in SQL. Their counters move in the transaction that moves the documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    null,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog import entries
from winnow.catalog.bulk import insert_rows
from winnow.catalog.collections import uid_of
from winnow.catalog.engine import Repository
from winnow.catalog.rules.interventions import deletion_stays, plan_cancellation, plan_retry, rebuild_stays
from winnow.catalog.rules.job_counters import ADDED, ENDINGS, JobCounters, make_job
from winnow.catalog.rules.submissions import LedgerChange, Order, touching
from winnow.catalog.tables import COLLECTIONS, JOB_FAILURES, JOBS, UtcDateTime
from winnow.core.ids import new_id
from winnow.core.missing import missing_job
from winnow.core.tenancy import shared_tenant
from winnow.core.types import Document, JobStatus
from winnow.ports import Job, JobFailure, Submission

_ENDED: Final = sum((JOBS.c[name] for name in ENDINGS[1:]), start=JOBS.c[ENDINGS[0]])
PENDING: Final = JOBS.c.total - JOBS.c.unchanged - _ENDED
"""The number of documents that a job waits for."""
_ADDED: Final = {name: JOBS.c[name] + bindparam(f"add_{name}") for name in ADDED}
_COMPLETE: Final = and_(JOBS.c.finished_at.is_(null()), bindparam("ending") == PENDING)
_ADD: Final = (
    update(JOBS)
    .where(JOBS.c.id == bindparam("of_job"))
    .values(
        _ADDED
        | {"finished_at": case((_COMPLETE, bindparam("now", type_=UtcDateTime())), else_=JOBS.c.finished_at)}
        | {"waits_for": bindparam("reason", type_=Text())}
    )
)
_FAILURE: Final = (JOB_FAILURES.c.document_id, JOB_FAILURES.c.code, JOB_FAILURES.c.message)
_NAMED: Final = select(JOBS, COLLECTIONS.c.name).join(COLLECTIONS, COLLECTIONS.c.uid == JOBS.c.collection_uid)


class SqlJobs(Repository):
    """The port ``JobCatalog`` in SQL."""

    async def get(self, job_id: str) -> Job:
        failures = select(*_FAILURE).where(JOB_FAILURES.c.job_id == job_id).order_by(JOB_FAILURES.c.document_id)
        async with self.database.read() as connection:
            row = (await connection.execute(_NAMED.where(JOBS.c.id == job_id))).mappings().one_or_none()
            # also for a job that is missing: the time must not tell it from one that is withheld
            found = [JobFailure(*failure) for failure in await connection.execute(failures)]
        if row is None:
            raise missing_job(job_id)
        return make_job(row, found)

    async def list(
        self,
        *,
        collection: str | None = None,
        among: Sequence[str] | None = None,
        status: JobStatus | None = None,
        failed: bool = False,
        after: str = "",
        limit: int = 100,
        tenant: str | None = None,
    ) -> Sequence[Job]:
        statement = _NAMED.where(COLLECTIONS.c.status == "ready")
        if among is not None:
            statement = statement.where(COLLECTIONS.c.name.in_(among))
        if tenant is not None:
            statement = statement.where(JOBS.c.tenant == tenant)
        if status is not None:
            statement = statement.where(_has_status(status))
        if failed:
            statement = statement.where(JOBS.c.failed > 0)
        if after:
            statement = statement.where(JOBS.c.id < after)
        async with self.database.read() as connection:
            if collection is not None:
                statement = statement.where(JOBS.c.collection_uid == await uid_of(connection, collection))
            # ids sort by time
            rows = (await connection.execute(statement.order_by(JOBS.c.id.desc()).limit(limit))).mappings()
            return [make_job(row) for row in rows]

    async def retry(self, job_id: str, *, priority: int = 0) -> Submission:
        failed = select(JOB_FAILURES.c.document_id).where(JOB_FAILURES.c.job_id == job_id)
        async with self.database.write() as connection:
            order = new_order(self.clock(), priority=priority)
            uid = await _lock_collection(connection, job_id)
            known = await entries.read(connection, uid, await connection.scalars(failed))
            order = replace(order, tenant=shared_tenant(known))
            again = plan_retry(known.values(), job_id, order)
            return await carry_out(connection, uid, again, order) if again.touched else Submission("", 0, 0)

    async def cancel(self, job_id: str) -> Job:
        # in several transactions: a large job must not keep other writers waiting
        after: str | None = ""
        while after is not None:
            async with self.database.write() as connection:
                after = await _cancel_some(connection, job_id, after, new_order(self.clock()))
        return await self.get(job_id)

    async def prune(self, *, before: datetime, limit: int = 1000) -> int:
        some = select(JOBS.c.id).where(JOBS.c.finished_at < before).order_by(JOBS.c.finished_at).limit(limit)
        async with self.database.write() as connection:
            return (await connection.execute(delete(JOBS).where(JOBS.c.id.in_(some.scalar_subquery())))).rowcount


def new_order(now: datetime, document_ids: Iterable[str] = (), *, priority: int = 0, source: str = "") -> Order:
    """What the documents of one request share, with the id of a new job."""
    return Order(new_id("job"), source, priority, now, shared_tenant(document_ids))


async def carry_out(
    connection: AsyncConnection,
    uid: str,
    change: LedgerChange,
    order: Order,
    contents: Mapping[str, Document] | None = None,
) -> Submission:
    """Write a change of the ledger with its job; ``contents`` has the created and revised documents by id."""
    await entries.add(connection, uid, change.created, contents or {})
    await entries.change_content(connection, uid, change.revised, contents or {})
    await entries.change(connection, uid, [*change.revised, *change.touched])
    submission = change.submission
    values: dict[str, Any] = dict.fromkeys(ADDED, 0)
    values |= {"id": submission.job_id, "collection_uid": uid, "tenant": order.tenant, "created_at": order.now}
    values |= {"total": submission.accepted, "unchanged": submission.unchanged}
    values["finished_at"] = order.now if submission.accepted == submission.unchanged else None
    await connection.execute(insert(JOBS), values)
    job_counters = JobCounters()
    job_counters.supersede(change.superseded)
    await add_counters(connection, job_counters, order.now)
    return submission


async def add_counters(connection: AsyncConnection, job_counters: JobCounters, now: datetime) -> None:
    """Add to the counters of jobs, and finish the jobs without pending documents."""
    if not job_counters.counters:
        return
    counters = sorted(job_counters.counters.items())  # always in this order, so that two commits cannot deadlock
    rows = [
        {"of_job": job_id, "now": now, "ending": sum(counter[name] for name in ENDINGS)}
        | {"reason": job_counters.waits_for.get(job_id)}
        | {f"add_{name}": counter[name] for name in ADDED}
        for job_id, counter in counters
    ]
    await connection.execute(_ADD, rows)
    failures = [
        {"job_id": job_id, "document_id": failure.document_id, "code": failure.code, "message": failure.message}
        for job_id, failure in job_counters.failures
    ]
    await insert_rows(connection, JOB_FAILURES, failures)


async def pending_documents(connection: AsyncConnection) -> int:
    """The number of documents that unfinished jobs wait for, which is added up from the jobs' own counters."""
    pending = func.coalesce(func.sum(PENDING), 0).cast(BigInteger)
    statement = select(pending).join(COLLECTIONS, COLLECTIONS.c.uid == JOBS.c.collection_uid)
    return (
        await connection.scalar(statement.where(JOBS.c.finished_at.is_(null()), COLLECTIONS.c.status == "ready")) or 0
    )


async def _cancel_some(connection: AsyncConnection, job_id: str, after: str, order: Order) -> str | None:
    """Cancel some of the documents that a job waits for, those beyond ``after`` by id; returns the last id, if any."""
    uid = await _lock_collection(connection, job_id)
    rebuild = await connection.scalar(select(COLLECTIONS.c.rebuild).where(COLLECTIONS.c.uid == uid))
    if rebuild is not None and rebuild["job_id"] == job_id:
        raise rebuild_stays(job_id)
    waiting = await entries.waiting_for(connection, uid, job_id, after=after)
    known = await entries.read(connection, uid, waiting)
    if any(entry.state == "deleting" and entry.job_id == job_id for entry in known.values()):
        raise deletion_stays(job_id)
    found = plan_cancellation(known.values(), job_id, order)
    await entries.change(connection, uid, found.stopped)
    if found.removed:
        order = replace(order, tenant=shared_tenant(entry.id for entry in found.removed))
        await carry_out(connection, uid, touching(found.removed, order), order)
    job_counters = JobCounters()
    job_counters.cancel(job_id, len(found.removed) + len(found.stopped))
    await add_counters(connection, job_counters, order.now)
    return waiting[-1] if waiting else None


async def _lock_collection(connection: AsyncConnection, job_id: str) -> str:
    """The uid of a job's collection; other requests that change the collection wait (PostgreSQL)."""
    statement = select(COLLECTIONS.c.uid).join(JOBS, JOBS.c.collection_uid == COLLECTIONS.c.uid)
    found = statement.where(JOBS.c.id == job_id, COLLECTIONS.c.status == "ready")
    uid: str | None = await connection.scalar(found.with_for_update(key_share=True, of=COLLECTIONS))
    if uid is None:
        raise missing_job(job_id)
    return uid


def _has_status(status: JobStatus) -> ColumnElement[bool]:
    finished = JOBS.c.finished_at.is_not(null())
    if status == "done":
        return finished
    begun = _ENDED > 0
    return and_(~finished, begun if status == "running" else ~begun)
