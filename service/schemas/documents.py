"""Documents on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.schemas.common import Body
from service.schemas.jobs import JobView
from winnow.core.types import DocumentState, TextFormat
from winnow.ports import DocumentKey, Rejection, StoredDocument

DOCUMENT_EXAMPLE: dict[str, Any] = {
    "id": "shutil.copy2",
    "text": "Copy the file src to the file or directory dst, with its timestamps.",
    "format": "text",
    "title": "shutil.copy2",
    "url": "https://docs.python.org/3/library/shutil.html",
    "metadata": {"lang": "en", "year": 2024},
    "version": 7,
}


class DocumentBody(BaseModel):
    """A document as it is handed in."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [DOCUMENT_EXAMPLE]})

    id: str = Field(min_length=1, max_length=512, description="yours; unique in the collection")
    text: str
    format: TextFormat = "text"
    title: str = ""
    url: str = ""
    metadata: dict[str, Any] = Field({}, description="declared fields can be filtered on")
    version: int | None = Field(None, ge=0, description="must not go backwards")


class DocumentBatch(BaseModel):
    """Documents handed in together; each is accepted or rejected on its own."""

    model_config = ConfigDict(extra="forbid")

    documents: list[DocumentBody] = Field(min_length=1)


class RejectionView(BaseModel):
    """One document that was not accepted."""

    model_config = ConfigDict(from_attributes=True)

    index: int = Field(description="position in the batch, or line of the NDJSON body, from 0")
    id: str | None
    code: str
    message: str


class SubmissionView(BaseModel):
    """What became of a batch."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "job_id": "job_01JY4W6V0T8Q3N5R7XKZB2C4DF",
                    "accepted": 2,
                    "rejected": [{"index": 2, "id": "", "code": "invalid_document", "message": "id is missing"}],
                }
            ]
        }
    )

    job_id: str
    accepted: int
    rejected: list[RejectionView]
    job: JobView | None = Field(None, description="with wait=true: how the job stands")

    @classmethod
    def of(cls, job_id: str, accepted: int, rejected: Sequence[Rejection], job: JobView | None) -> Self:
        """The wire form."""
        views = [RejectionView.model_validate(item) for item in rejected]
        return cls(job_id=job_id, accepted=accepted, rejected=views, job=job)


class DeletionBody(Body):
    """Which documents to delete: by id, or by filter."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"ids": ["a", "b/c"]}, {"filter": {"type": "eq", "key": "lang", "value": "en"}}]
        }
    )

    ids: list[str] | None = Field(None, min_length=1)
    filter: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.ids is None) == (self.filter is None):
            raise ValueError("give either ids or filter")
        return self


class DeletionView(BaseModel):
    """What is being deleted."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"job_id": "job_01JY4W6V0T8Q3N5R7XKZB2C4DF", "deleted": 2}]}
    )

    job_id: str
    deleted: int = Field(description="documents that were there and are now gone from every listing")
    job: JobView | None = Field(None, description="with wait=true: how the job stands")


class DocumentError(BaseModel):
    """Why indexing failed."""

    code: str
    message: str


class DocumentView(BaseModel):
    """A document with its place in the ledger."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **DOCUMENT_EXAMPLE,
                    "state": "indexed",
                    "chunks": 1,
                    "revision": 1,
                    "content_hash": "9f86d081884c7d65",
                    "source": "",
                    "updated_at": "2026-01-31T12:00:00Z",
                }
            ]
        }
    )

    id: str
    text: str
    format: TextFormat
    title: str
    url: str
    metadata: dict[str, Any]
    version: int | None
    state: DocumentState
    error: DocumentError | None = Field(None, description="set in state failed")
    chunks: int
    revision: int
    content_hash: str
    source: str
    updated_at: datetime | None

    @classmethod
    def of(cls, stored: StoredDocument) -> Self:
        """The wire form."""
        document = stored.document
        error = None if stored.error is None else DocumentError(code=stored.error_code or "", message=stored.error)
        return cls(
            id=document.id,
            text=document.text,
            format=document.format,
            title=document.title,
            url=document.url,
            metadata=dict(document.metadata),
            version=document.version,
            state=stored.state,
            error=error,
            chunks=stored.chunks,
            revision=stored.revision,
            content_hash=stored.content_hash,
            source=stored.source,
            updated_at=stored.updated_at,
        )


class DocumentKeyView(BaseModel):
    """A row of a listing: no text."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    state: DocumentState
    revision: int
    content_hash: str
    source: str


class DocumentList(BaseModel):
    """One page of a listing, by id."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "documents": [
                        {"id": "a", "state": "indexed", "revision": 1, "content_hash": "9f86d0", "source": "docs"}
                    ],
                    "next": "a",
                }
            ]
        }
    )

    documents: list[DocumentKeyView]
    next: str | None = Field(description="pass as after= for the next page; null on the last")

    @classmethod
    def page(cls, keys: Sequence[DocumentKey], limit: int) -> Self:
        """A page out of up to ``limit + 1`` keys: the one beyond the limit says that there is more."""
        rows = [DocumentKeyView.model_validate(key) for key in keys[:limit]]
        return cls(documents=rows, next=rows[-1].id if len(keys) > limit else None)
