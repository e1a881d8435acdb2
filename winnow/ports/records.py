"""The shapes that cross the ports of the catalog: submissions, claims and their outcomes, jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from winnow.core.types import Document, DocumentState, JobStatus, Metadata


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


class DescribedKey(NamedTuple):
    """A row of a listing with what filters look at: metadata, and the fields of access. A tuple: scans make millions.

    ``chunks`` is the number of searchable ones.
    """

    key: DocumentKey
    chunks: int
    metadata: Metadata


class TextSpan(NamedTuple):
    """A span of a document's canonical text: offsets in code points, ``end`` exclusive and perhaps behind the end."""

    document_id: str
    revision: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ChunkKey:
    """A chunk as indexed: hash of its passage and the point that holds it."""

    hash: str
    point_id: str


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The ledger's record of one document's points, which integrity checks compare.

    Attributes:
        indexed_revision: the revision whose points serve searches; ``None`` where there is none.
        points: ids of its points.
        n_chunks: the number of chunks that its counts report.
        token: moves with every change and every claim: the same token means that nothing was written in between.
        waits: whether work on it is due or in progress.
        built: the number of the newer of two indexes, where both hold the indexed revision.
    """

    id: str
    state: DocumentState
    revision: int
    indexed_revision: int | None
    points: tuple[str, ...]
    n_chunks: int
    token: int
    waits: bool
    built: int | None = None


class IndexedDocument(NamedTuple):
    """The revision of a document that searches find, and the points that hold it; ``None`` and none before that."""

    id: str
    revision: int | None
    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to documents of a collection.

    Attributes:
        changed: documents that were written, as they are now.
        removed: ids of documents that are gone; one that was submitted again since is among both.
        until: the moment of the newest change; ``None`` where there is none.
    """

    changed: tuple[IndexedDocument, ...]
    removed: tuple[str, ...]
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """One document handed to a worker under a lease.

    Attributes:
        kind: ``index`` the document, ``delete`` its points, or ``reembed`` the indexed revision into the collection's
            other index, which leaves state, revision and jobs as they are.
        token: fencing token; a commit with an older token is refused.
        previous: chunks of the revision that is indexed now, for re-use of unchanged vectors; of a new document those
            of another with the same title and text, as after a file was renamed.
        attempts: how often it was claimed before, without the claims that ended through no fault of the document.
        tried: whether it was claimed before at all: some of its points may be written.
        submitted_at: when this work was submitted; ``None`` if unknown.
    """

    collection: str
    kind: Literal["index", "delete", "reembed"]
    document: Document
    revision: int
    token: int
    previous: tuple[ChunkKey, ...] = ()
    attempts: int = 0
    tried: bool = False
    submitted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a claim ended. With ``error`` it failed; with ``retry_in`` (seconds) as well it is retried.

    Attributes:
        embedded: chunks that got vectors just now.
        unread: chunks that were to get them, but the embedder does not know the text.
        built: the collection's ``newer_generation`` where both indexes of the pair were written.
        waited: it is retried through no fault of the document (storage or a model is down): no attempt is counted.
    """

    claim: Claim
    chunks: tuple[ChunkKey, ...] = ()
    embedded: int = 0
    unread: int = 0
    error: str | None = None
    error_code: str | None = None
    retry_in: float | None = None
    built: int | None = None
    waited: bool = False


@dataclass(frozen=True, slots=True)
class Removal:
    """A document that was deleted a short while ago, with its last revision; its points are to be removed again."""

    collection: str
    document_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class JobFailure:
    """One document of a job that failed."""

    document_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ReembedProgress:
    """Progress of the second index of a collection.

    Attributes:
        documents: those that searches can find now.
        done: those of them that are in both indexes.
        lacking: those that still wait or failed to be embedded again: a switch would lose them.
        failures: documents that cannot be embedded again, with the reason, up to 100 by id. Those whose newest revision
            failed are in the older index only and do not count as lacking.
        failed: those of the lacking that are not retried.
    """

    documents: int
    done: int
    lacking: int
    failed: int = 0
    failures: tuple[JobFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """Progress of one submission.

    ``total`` = indexed + deleted + unchanged + failed + superseded + cancelled + still pending. ``failures`` stays
    empty in listings. ``tenant`` is that of all documents, ``None`` where they are of several. ``waits_for`` is why
    some of the pending ones had to be put off, if they had.
    """

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
    cancelled: int = 0
    chunks_embedded: int = 0
    chunks_unread: int = 0
    failures: tuple[JobFailure, ...] = ()
    tenant: str | None = ""
    created_at: datetime | None = None
    finished_at: datetime | None = None
    waits_for: str | None = None
