"""Jobs on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from winnow.core.types import JobStatus
from winnow.ports import Job


class JobFailureView(BaseModel):
    """One document of a job that failed."""

    document_id: str
    code: str
    message: str


class JobView(BaseModel):
    """Progress of one submission: ``total`` is the sum of all the states and ``pending``."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "job_01JY4W6V0T8Q3N5R7XKZB2C4DF",
                    "collection": "python",
                    "status": "done",
                    "total": 3,
                    "pending": 0,
                    "indexed": 3,
                    "deleted": 0,
                    "unchanged": 0,
                    "failed": 0,
                    "superseded": 0,
                    "cancelled": 0,
                    "chunks_embedded": 5,
                    "failures": [],
                    "created_at": "2026-01-31T12:00:00Z",
                    "finished_at": "2026-01-31T12:00:02Z",
                }
            ]
        },
    )

    id: str
    collection: str
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
    failures: list[JobFailureView] = Field(description="documents that failed, and why; empty in a list of jobs")
    created_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: Job) -> Self:
        """The wire form."""
        return cls.model_validate(job, from_attributes=True)


class JobQuery(BaseModel):
    """Which jobs to list."""

    model_config = ConfigDict(extra="forbid")

    collection: str | None = Field(None, description="only jobs of this collection")
    status: JobStatus | None = Field(None, description="only jobs that are pending, running or done")
    failed: bool = Field(False, description="only jobs with documents that failed")
    after: str = Field("", description="the id that the page begins behind, of a newer job")
    limit: int = Field(50, ge=1, le=1000)


class JobList(BaseModel):
    """Jobs, newest first. ``next`` is the ``after`` of the next page, null on the last one."""

    jobs: list[JobView]
    next: str | None

    @classmethod
    def page(cls, jobs: Sequence[Job], limit: int) -> Self:
        """A page of at most ``limit`` jobs out of one more than that."""
        shown = [JobView.of(job) for job in jobs[:limit]]
        return cls(jobs=shown, next=shown[-1].id if len(jobs) > limit else None)


class RetryView(BaseModel):
    """What was queued again. ``job_id`` is null where nothing of the job has failed, or was handed in again since."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"job_id": "job_01JY4W6V0T8Q3N5R7XKZB2C4DF", "documents": 2}]}
    )

    job_id: str | None
    documents: int
