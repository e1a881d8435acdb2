"""Jobs: how far a submission has come. Counters move in the transaction that moves the documents."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, delete, insert, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog import collections
from winnow.catalog.missing import job_missing
from winnow.catalog.rules.job_counters import ADDED, ENDINGS, JobCounters, make_job
from winnow.catalog.tables import COLLECTIONS, JOB_FAILURES, JOBS
from winnow.core.types import JobStatus
from winnow.ports import Job, JobFailure, Submission

_ADD: Final = (
    update(JOBS)
    .where(JOBS.c.id == bindparam("of_job"))
    .values({name: JOBS.c[name] + bindparam(f"add_{name}") for name in ADDED})
)


async def create(connection: AsyncConnection, uid: str, submission: Submission, now: datetime) -> None:
    """Insert the job of a submission; it is finished already where nothing has changed."""
    nothing_to_do = submission.accepted == submission.unchanged
    values: dict[str, Any] = dict.fromkeys(ADDED, 0)
    values |= {"id": submission.job_id, "collection_uid": uid, "created_at": now}
    values |= {"total": submission.accepted, "unchanged": submission.unchanged}
    values |= {"finished_at": now if nothing_to_do else None}
    await connection.execute(insert(JOBS), values)


async def add(connection: AsyncConnection, job_counters: JobCounters, now: datetime) -> None:
    """Book a job_counters and close the jobs that nothing is left of."""
    if not job_counters.counters:
        return
    job_ids = sorted(job_counters.counters)  # always in this order, so that two commits cannot lock each other out
    rows = [
        {"of_job": job_id} | {f"add_{name}": job_counters.counters[job_id][name] for name in ADDED}
        for job_id in job_ids
    ]
    await connection.execute(_ADD, rows)
    if job_counters.failures:
        failures = [_failure_values(job_id, failure) for job_id, failure in job_counters.failures]
        await connection.execute(insert(JOB_FAILURES), failures)
    complete = (JOBS.c.id == bindparam("of_job"), JOBS.c.finished_at.is_(null()), _pending() == 0)
    await connection.execute(
        update(JOBS).where(*complete).values(finished_at=now), [{"of_job": job_id} for job_id in job_ids]
    )


async def get(connection: AsyncConnection, job_id: str) -> Job:
    """One job with its failures by document id."""
    statement = select(JOBS, COLLECTIONS.c.name).join(COLLECTIONS, COLLECTIONS.c.uid == JOBS.c.collection_uid)
    row = (await connection.execute(statement.where(JOBS.c.id == job_id))).mappings().one_or_none()
    if row is None:
        raise job_missing(job_id)
    columns = (JOB_FAILURES.c.document_id, JOB_FAILURES.c.code, JOB_FAILURES.c.message)
    failures = select(*columns).where(JOB_FAILURES.c.job_id == job_id).order_by(JOB_FAILURES.c.document_id)
    found = [JobFailure(*failure) for failure in await connection.execute(failures)]
    return make_job(dict(row), collection=row["name"], failures=found)


async def list_some(
    connection: AsyncConnection,
    *,
    collection: str | None,
    status: JobStatus | None,
    failed: bool,
    after: str,
    limit: int,
) -> list[Job]:
    """Jobs of collections in service, newest first: their ids sort by time."""
    statement = select(JOBS, COLLECTIONS.c.name).join(COLLECTIONS, COLLECTIONS.c.uid == JOBS.c.collection_uid)
    statement = statement.where(COLLECTIONS.c.status == "ready")
    if collection is not None:
        statement = statement.where(JOBS.c.collection_uid == await collections.uid_of(connection, collection))
    if status is not None:
        statement = statement.where(_has_status(status))
    if failed:
        statement = statement.where(JOBS.c.failed > 0)
    if after:
        statement = statement.where(JOBS.c.id < after)
    rows = (await connection.execute(statement.order_by(JOBS.c.id.desc()).limit(limit))).mappings()
    return [make_job(dict(row), collection=row["name"], failures=()) for row in rows]


async def prune(connection: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete jobs that were finished before this moment, longest ago first; their failures go with them."""
    some = select(JOBS.c.id).where(JOBS.c.finished_at < before).order_by(JOBS.c.finished_at).limit(limit)
    return (await connection.execute(delete(JOBS).where(JOBS.c.id.in_(some.scalar_subquery())))).rowcount


async def collection_of(connection: AsyncConnection, job_id: str) -> str:
    """The uid of the collection that a job is about; what users change in it waits (PostgreSQL)."""
    statement = select(COLLECTIONS.c.uid).join(JOBS, JOBS.c.collection_uid == COLLECTIONS.c.uid)
    found = statement.where(JOBS.c.id == job_id, COLLECTIONS.c.status == "ready")
    uid: str | None = await connection.scalar(found.with_for_update(key_share=True, of=COLLECTIONS))
    if uid is None:
        raise job_missing(job_id)
    return uid


async def failed_documents(connection: AsyncConnection, job_id: str) -> list[str]:
    """Ids of the documents that failed in a job."""
    return list(await connection.scalars(select(JOB_FAILURES.c.document_id).where(JOB_FAILURES.c.job_id == job_id)))


def _has_status(status: JobStatus) -> ColumnElement[bool]:
    finished = JOBS.c.finished_at.is_not(null())
    if status == "done":
        return finished
    begun = sum((JOBS.c[name] for name in ENDINGS[1:]), start=JOBS.c[ENDINGS[0]]) > 0
    return and_(~finished, begun if status == "running" else ~begun)


def _pending() -> ColumnElement[int]:
    pending: ColumnElement[int] = JOBS.c.total - JOBS.c.unchanged
    for name in ENDINGS:
        pending = pending - JOBS.c[name]
    return pending


def _failure_values(job_id: str, failure: JobFailure) -> dict[str, str]:
    return {"job_id": job_id, "document_id": failure.document_id, "code": failure.code, "message": failure.message}
