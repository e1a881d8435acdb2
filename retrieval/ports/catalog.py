"""The seam to the database: ``Catalog``, and the shapes that cross it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from retrieval.types import (
    Collection,
    Counts,
    Document,
    DocumentState,
    JobStatus,
)


@dataclass(frozen=True, slots=True)
class Rejection:
    """One document that was not accepted, and why."""

    index: int
    id: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Submission:
    """The catalog's answer to a batch of documents. ``accepted`` counts new, changed and unchanged ones."""

    job_id: str
    accepted: int
    unchanged: int
    rejected: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document with its place in the ledger. ``error`` is set in state ``failed``."""

    document: Document
    revision: int
    state: DocumentState
    content_hash: str
    chunks: int = 0
    error: str | None = None
    error_code: str | None = None
    source: str = ""
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DocumentKey:
    """A row of a listing: no text."""

    id: str
    state: DocumentState
    content_hash: str
    revision: int
    source: str


@dataclass(frozen=True, slots=True)
class ChunkKey:
    """A chunk as indexed: hash of its passage and the point that holds it."""

    hash: str
    point_id: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One document handed to a worker under a lease.

    Attributes:
        kind: ``index`` the document or ``delete`` its points.
        token: fencing token; a commit with an older token is refused.
        previous: chunks of the revision that is indexed now, for re-use of unchanged vectors.
        attempts: how often it was claimed before.
    """

    collection: str
    kind: Literal["index", "delete"]
    document: Document
    revision: int
    token: int
    previous: tuple[ChunkKey, ...] = ()
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a claim ended. ``error`` given: it failed; ``retry_in`` (seconds) given as well: it is tried again."""

    claim: Claim
    chunks: tuple[ChunkKey, ...] = ()
    embedded: int = 0
    error: str | None = None
    error_code: str | None = None
    retry_in: float | None = None


@dataclass(frozen=True, slots=True)
class JobFailure:
    """One document of a job that failed."""

    document_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """Progress of one submission. ``total`` = indexed + deleted + unchanged + failed + superseded + still pending."""

    id: str
    collection: str
    status: JobStatus
    total: int
    pending: int
    indexed: int = 0
    deleted: int = 0
    unchanged: int = 0
    failed: int = 0
    superseded: int = 0
    chunks_embedded: int = 0
    failures: tuple[JobFailure, ...] = ()
    created_at: datetime | None = None
    finished_at: datetime | None = None


class Catalog(Protocol):
    """The truth about collections and documents, and the ledger of work. Every method is one transaction."""

    async def create_collection(self, collection: Collection) -> Collection:
        """Store a new collection; if the name exists, return the stored one unchanged."""
        ...

    async def get_collection(self, name: str) -> Collection:
        """Raise ``CollectionNotFound`` for an unknown name or one that is being deleted."""
        ...

    async def list_collections(self, *, deleting: bool = False) -> Sequence[Collection]:
        """Collections by name: those in service, or with ``deleting`` those whose deletion was not finished."""
        ...

    async def update_collection(self, collection: Collection) -> Collection:
        """Replace fields, instructs, metadata, chunking and generation of the collection of this name."""
        ...

    async def mark_deleting(self, name: str) -> Collection:
        """Take the collection out of service: from now on it is not found."""
        ...

    async def purge_collection(self, uid: str) -> None:
        """Remove the rows of a collection that was marked as deleting."""
        ...

    async def counts(self, name: str) -> Counts: ...

    async def submit(
        self, collection: str, documents: Sequence[Document], *, source: str = "", priority: int = 0
    ) -> Submission:
        """Accept documents: a new revision, ``pending``, for new, changed and failed ones; nothing for unchanged ones.

        One that waits already with the same content goes on waiting, now for the new job.
        Rejects, one by one, an id that stands twice in the batch and a version that goes backwards.
        Committed on return. ``priority``: higher is served first (interactive 10, bulk 0).
        """
        ...

    async def get_document(self, collection: str, document_id: str) -> StoredDocument:
        """Raise ``DocumentNotFound`` for an unknown id or one that is being deleted."""
        ...

    def scan(self, collection: str, *, source: str | None = None) -> AsyncIterator[StoredDocument]:
        """Every document that is not being deleted, by id, in bounded batches."""
        ...

    async def list_documents(
        self,
        collection: str,
        *,
        after: str = "",
        limit: int = 1000,
        source: str | None = None,
        state: DocumentState | None = None,
    ) -> Sequence[DocumentKey]:
        """Keys by id, those beyond ``after``; documents being deleted only when ``state`` asks for them."""
        ...

    async def tombstone(self, collection: str, document_ids: Sequence[str], *, priority: int = 0) -> Submission:
        """Mark documents for deletion; unknown ids count as ``unchanged``. Committed on return."""
        ...

    async def claim(self, owner: str, *, limit: int, lease_seconds: float) -> Sequence[Claim]:
        """Lease up to ``limit`` documents whose work is due, of one collection, highest priority and oldest first."""
        ...

    async def renew(self, owner: str, claims: Sequence[Claim], *, lease_seconds: float) -> int:
        """Prolong the leases that still hold; returns how many did."""
        ...

    async def commit(self, outcomes: Sequence[Outcome]) -> Sequence[bool]:
        """Record outcomes. False for each whose token or revision has moved on: nothing was recorded for it."""
        ...

    async def release(self, owner: str | None = None) -> int:
        """Give back the leases of ``owner``, or of everybody (only where one process owns the storage)."""
        ...

    async def backlog(self) -> int:
        """How many documents wait for work."""
        ...

    async def get_job(self, job_id: str) -> Job: ...

    async def check(self) -> None:
        """Raise if the database cannot serve."""
        ...

    async def close(self) -> None: ...
