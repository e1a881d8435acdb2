"""Jobs on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import Field

from service.schemas.common import Parameters, PlainId, View
from winnow.core.types import JobStatus
from winnow.ports import Job


class JobFailureView(View):
    """One document of a job that failed."""

    document_id: PlainId
    code: str
    message: str


class JobView(View):
    """Progress of one submission: ``total`` is the sum of all the states and ``pending``."""

    id: str
    collection: str
    tenant: str | None = Field(description="of the job's documents; null where they are of several")
    status: JobStatus
    total: int
    pending: int
    indexed: int
    deleted: int
    unchanged: int
    failed: int
    superseded: int = Field(description="documents that a later submission replaced before they were indexed")
    cancelled: int = Field(description="documents that were cancelled before they were indexed")
    chunks_embedded: int
    chunks_unread: int = Field(description="chunks that the embedding model cannot read: found by keywords alone")
    failures: list[JobFailureView] = Field(description="documents that failed, and why; empty in a list of jobs")
    created_at: datetime | None
    finished_at: datetime | None
    waits_for: str | None = Field(
        None, description="why pending documents were put off: a model that is down, tokens that are spent"
    )


class JobQuery(Parameters):
    """Which jobs to list."""

    collection: str | None = Field(None, description="only jobs of this collection")
    status: JobStatus | None = Field(None, description="only jobs that are pending, running or done")
    tenant: str | None = Field(None, description="only jobs of this tenant's documents")
    failed: bool = Field(False, description="only jobs with failed documents")
    after: str = Field("", description="id of the last job of the previous page")
    limit: int = Field(50, ge=1, le=1000)


class JobList(View):
    """Jobs, newest first. ``next`` is the ``after`` of the next page, null on the last one."""

    jobs: list[JobView]
    next: str | None

    @classmethod
    def page(cls, jobs: Sequence[Job], limit: int) -> Self:
        """A page out of up to ``limit + 1`` jobs; one beyond the limit means that another page follows."""
        shown = [JobView.of(job) for job in jobs[:limit]]
        return cls(jobs=shown, next=shown[-1].id if len(jobs) > limit else None)


class RetryView(View):
    """The new job for the failed documents. ``job_id`` is null if no document of the job is failed any more."""

    job_id: str | None
    documents: int
