"""Documents on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Self

from pydantic import BaseModel, Field, model_validator

from service.schemas.common import Body, PlainId, View, members
from service.schemas.jobs import JobView
from winnow.core.tenancy import tenant_of
from winnow.core.types import DocumentState, TextFormat
from winnow.operations.submit import INTERACTIVE
from winnow.ports import DocumentKey, StoredDocument

WAIT_DESCRIPTION: Final = "answer once the work is done, for up to 60 seconds"


class WarningView(View):
    """Something that was lost or guessed when a document was read."""

    code: str
    message: str
    pages: list[int] = Field([], description="the pages concerned, from 1")
    count: int | None = Field(None, description="how many characters, rows or parts are concerned")


TENANT_DESCRIPTION: Final = "whose documents; by default the caller's own tenant, or those without one"


class AclBody(Body):
    """Who may see a document. A list without entries hides it from every user and group."""

    users: list[str] = Field([], description="subjects of tokens")
    groups: list[str] = Field([], description="groups of tokens")


class AclView(View):
    """Who may see a document."""

    users: list[str]
    groups: list[str]


class DocumentBody(Body):
    """A document as it is submitted."""

    id: str = Field(min_length=1, max_length=512, description="chosen by the caller; unique in the collection")
    text: str
    format: TextFormat | None = Field(None, description="how the text is written; text if it is left out")
    title: str = ""
    url: str = ""
    metadata: dict[str, Any] = Field({}, description="declared fields can be filtered on")
    version: int | None = Field(None, ge=0, description="must not go backwards")
    tenant: str | None = Field(None, max_length=128, description="two tenants may each have a document of one id")
    acl: AclBody | None = Field(None, description="who may see it; left out, the collection's acl_default decides")
    source_format: str | None = Field(
        None, description="in place of format: the text is canonical already, and was converted from this format"
    )
    marks: list[tuple[int, str, str | int]] | None = Field(
        None, description="anchors and pages in a canonical text: [offset, kind, value]"
    )
    warnings: list[WarningView] | None = Field(None, description="what was lost when a canonical text was read")


class DocumentBatch(Body):
    """Documents submitted together; each is accepted or rejected on its own."""

    documents: list[DocumentBody] = Field(min_length=1)


class AboutFile(Body):
    """What an uploader says of a file; each key may be left out."""

    id: str = Field("", max_length=512, description="the name of the file if it is left out")
    title: str = Field("", description="in place of the file's own")
    url: str = ""
    metadata: dict[str, Any] = Field({}, description="merged with what the file says, such as the author of a mail")
    version: int | None = Field(None, ge=0, description="must not go backwards")
    format: str = Field("", description="pdf, docx …; that of the file's name if it is left out")
    columns: dict[str, str] = Field({}, description="of a table: the columns of id, text, title and url")


class DocumentForm(Body):
    """Files submitted together; each is accepted or rejected on its own."""

    file: list[bytes] = Field(min_length=1, description="a part for each file, with its name")
    document: list[AboutFile] = Field([], description="in JSON: one part for each file in the same order, or none")


class WriteOptions(BaseModel):
    """How a submission is handled."""

    wait: bool = Field(False, description=WAIT_DESCRIPTION)
    tenant: str | None = Field(None, description="of documents that name none; by default the caller's own, or none")
    source: str = Field("", max_length=512, description="label of where the documents come from")
    priority: int = Field(INTERACTIVE, ge=-100, le=100, description="higher is served first; bulk loads use 0")


class DocumentQuery(BaseModel):
    """Which documents to list."""

    after: str = Field("", description="id of the last document of the previous page")
    limit: int = Field(100, ge=1, le=1000)
    tenant: str | None = Field(None, description=TENANT_DESCRIPTION)
    state: DocumentState | None = Field(None, description="only documents in this state")
    source: str | None = Field(None, description="only documents of this source")


class RejectionView(View):
    """One document that was not accepted."""

    index: int = Field(description="position in the batch, or line of the NDJSON body, from 0")
    id: str | None
    code: str
    message: str


class SubmissionView(View):
    """Which documents of a batch were accepted."""

    job_id: str
    accepted: int
    rejected: list[RejectionView]
    job: JobView | None = Field(None, description="with wait=true: the job's progress")


class DeletionBody(Body):
    """Which documents to delete: by id, or by filter."""

    ids: list[str] | None = Field(None, min_length=1)
    filter: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.ids is None) == (self.filter is None):
            raise ValueError("give either ids or filter")
        return self


class DeletionView(View):
    """How many documents are being deleted."""

    job_id: str
    deleted: int = Field(description="documents that existed and have now left every listing")
    job: JobView | None = Field(None, description="with wait=true: the job's progress")


class DocumentError(View):
    """Why indexing failed."""

    code: str
    message: str


class DocumentView(View):
    """A document with the state of its indexing."""

    id: PlainId
    tenant: str
    text: str = Field(description="the canonical text, which offsets of chunks count in")
    source_format: str = Field(description="what the text was read from")
    title: str
    url: str
    metadata: dict[str, Any]
    version: int | None
    acl: AclView | None = Field(description="null: the collection's acl_default decides who may see it")
    warnings: list[WarningView] = Field(description="what was lost when the document was read")
    state: DocumentState
    error: DocumentError | None = Field(None, description="set in state failed")
    chunks: int
    revision: int
    content_hash: str
    source: str
    updated_at: datetime | None

    @classmethod
    def stored(cls, found: StoredDocument) -> Self:
        """The wire form of a document in the catalog."""
        error = None if found.error is None else DocumentError(code=found.error_code or "", message=found.error)
        tenant = tenant_of(found.document.id)
        return cls.of(members(found.document) | members(found) | {"error": error, "tenant": tenant})


class DocumentKeyView(View):
    """A row of a listing, without the text."""

    id: PlainId
    state: DocumentState
    revision: int
    content_hash: str
    source: str


class DocumentList(View):
    """One page of a listing, by id."""

    documents: list[DocumentKeyView]
    next: str | None = Field(description="pass as after= for the next page; null on the last")

    @classmethod
    def page(cls, keys: Sequence[DocumentKey], limit: int) -> Self:
        """A page out of up to ``limit + 1`` keys; one beyond the limit means that another page follows."""
        rows = [DocumentKeyView.of(key) for key in keys[:limit]]
        return cls(documents=rows, next=rows[-1].id if len(keys) > limit else None)
