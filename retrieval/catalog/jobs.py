"""Jobs: how far a submission has come. Counters move in the transaction that moves the documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, insert, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from retrieval.catalog.rules import Ending
from retrieval.catalog.tables import COLLECTIONS, JOB_FAILURES, JOBS
from retrieval.errors import JobNotFound
from retrieval.ports import Job, JobFailure, Submission
from retrieval.types import JobStatus

_ENDINGS: Final = ("indexed", "deleted", "failed", "superseded")
_ADDED: Final = (*_ENDINGS, "chunks_embedded")
_ADD: Final = (
    update(JOBS)
    .where(JOBS.c.id == bindparam("of_job"))
    .values({name: JOBS.c[name] + bindparam(f"add_{name}") for name in _ADDED})
)


@dataclass
class Tally:
    """What one transaction adds to jobs: per job the endings of documents, embedded chunks, and failures."""

    endings: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[tuple[str, JobFailure]] = field(default_factory=list)

    def count(self, job_id: str | None, ending: Ending | None, *, number: int = 1, embedded: int = 0) -> None:
        """Add ``number`` documents that ended this way."""
        if job_id is None:
            return
        counter = self.endings.setdefault(job_id, Counter())
        counter["chunks_embedded"] += embedded
        if ending is not None:
            counter[ending] += number

    def fail(self, job_id: str | None, failure: JobFailure) -> None:
        """Add a failure to the job's list."""
        if job_id is not None:
            self.failures.append((job_id, failure))


async def create(connection: AsyncConnection, uid: str, submission: Submission, now: datetime) -> None:
    """Insert the job of a submission; it is finished already where nothing has changed."""
    nothing_to_do = submission.accepted == submission.unchanged
    values: dict[str, Any] = dict.fromkeys(_ADDED, 0)
    values |= {"id": submission.job_id, "collection_uid": uid, "created_at": now}
    values |= {"total": submission.accepted, "unchanged": submission.unchanged}
    values |= {"finished_at": now if nothing_to_do else None}
    await connection.execute(insert(JOBS), values)


async def add(connection: AsyncConnection, tally: Tally, now: datetime) -> None:
    """Book a tally and close the jobs that nothing is left of."""
    if not tally.endings:
        return
    job_ids = sorted(tally.endings)
    rows = [
        {"of_job": job_id} | {f"add_{name}": tally.endings[job_id][name] for name in _ADDED} for job_id in job_ids
    ]
    await connection.execute(_ADD, rows)
    await _add_failures(connection, tally)
    done = (JOBS.c.id.in_(job_ids), JOBS.c.finished_at.is_(null()), _pending() == 0)
    await connection.execute(update(JOBS).where(*done).values(finished_at=now))


async def get(connection: AsyncConnection, job_id: str) -> Job:
    """One job with its failures by document id."""
    statement = select(JOBS, COLLECTIONS.c.name).join(COLLECTIONS, COLLECTIONS.c.uid == JOBS.c.collection_uid)
    row = (await connection.execute(statement.where(JOBS.c.id == job_id))).one_or_none()
    if row is None:
        raise not_found(job_id)
    failures = (
        select(JOB_FAILURES.c.document_id, JOB_FAILURES.c.code, JOB_FAILURES.c.message)
        .where(JOB_FAILURES.c.job_id == job_id)
        .order_by(JOB_FAILURES.c.document_id)
    )
    found = [JobFailure(*failure) for failure in await connection.execute(failures)]
    return make_job(row._mapping, collection=row.name, failures=found)  # noqa: SLF001 - SQLAlchemy's public name


def make_job(values: Mapping[str, Any], *, collection: str, failures: Sequence[JobFailure]) -> Job:
    """A job out of its counters; what has not ended is pending."""
    ended = sum(values[name] for name in _ENDINGS)
    pending = values["total"] - values["unchanged"] - ended
    status: JobStatus = "done" if pending == 0 else "running" if ended else "pending"
    return Job(
        id=values["id"],
        collection=collection,
        status=status,
        total=values["total"],
        pending=pending,
        unchanged=values["unchanged"],
        failures=tuple(failures),
        created_at=values["created_at"],
        finished_at=values["finished_at"],
        **{name: values[name] for name in _ADDED},
    )


def not_found(job_id: str) -> JobNotFound:
    """The error for an id that no job has."""
    return JobNotFound(f"there is no job {job_id!r}; its collection may have been deleted")


def _pending() -> ColumnElement[int]:
    pending: ColumnElement[int] = JOBS.c.total - JOBS.c.unchanged
    for name in _ENDINGS:
        pending = pending - JOBS.c[name]
    return pending


async def _add_failures(connection: AsyncConnection, tally: Tally) -> None:
    if not tally.failures:
        return
    rows = [
        {"job_id": job_id, "document_id": failure.document_id, "code": failure.code, "message": failure.message}
        for job_id, failure in tally.failures
    ]
    await connection.execute(insert(JOB_FAILURES), rows)
