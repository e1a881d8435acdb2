"""Jobs on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from retrieval.ports import Job
from retrieval.types import JobStatus


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
    chunks_embedded: int
    failures: list[JobFailureView]
    created_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: Job) -> Self:
        """The wire form."""
        return cls.model_validate(job, from_attributes=True)
