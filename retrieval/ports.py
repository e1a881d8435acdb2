"""The four seams: ``Embedder``, ``Reranker``, ``VectorStore``, ``Catalog``, and the shapes that cross them.

Async only, domain types only. Whoever implements a port passes its contract suite in ``tests/contracts/``.
Errors are those of ``retrieval.errors``; no vendor's exception leaves an adapter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from retrieval.types import (
    Candidate,
    Chunk,
    Collection,
    Counts,
    Document,
    DocumentState,
    FieldType,
    Filter,
    FloatArray,
    HalfArray,
    JobStatus,
    Metadata,
)

EmbedKind = Literal["query", "document"]


# --- models --------------------------------------------------------------------------------------


class Tokenizer(Protocol):
    """Cuts text into the tokens that an embedder counts. Pure and synchronous."""

    name: str

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Character ranges of the tokens of ``text``, in order, special tokens left out."""
        ...


@dataclass(frozen=True, slots=True)
class EmbedderInfo:
    """What an embedder is.

    ``max_tokens`` leaves out its special tokens; ``token_dimensions`` is 0 without token vectors.
    """

    provider: str
    model: str
    revision: str
    dimensions: int
    max_tokens: int
    instruct: str = ""
    token_dimensions: int = 0


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors for n texts, in their order.

    Attributes:
        vectors: shape (n, dimensions), float32, each row of length 1 (all zeros where ``coverage`` is 0).
        coverage: shape (n,), float32 in [0, 1]: the share of each text that the model knows (its scripts,
            its vocabulary). An arm over text that the model cannot read is weighed down or skipped.
        tokens: per text an array of shape (k, token_dimensions), float16, rows of length 1: the token vectors for
            late interaction; ``None`` where the embedder has none.
        token_count: tokens that were read, all texts together.
        cached: true where no model ran.
    """

    vectors: FloatArray
    coverage: FloatArray
    tokens: tuple[HalfArray, ...] | None = None
    token_count: int = 0
    cached: bool = False


class Embedder(Protocol):
    """Text in, vectors out."""

    @property
    def info(self) -> EmbedderInfo: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        """Embed ``texts``. ``instruct`` replaces the configured one, for queries only.

        Text beyond ``info.max_tokens`` is cut: the chunker sees to it that no chunk is longer.
        """
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class RerankerInfo:
    """What a reranker is."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class Reranking:
    """Scores for n candidates, in their order: shape (n,), float32 in [0, 1], higher is more relevant."""

    scores: FloatArray
    tokens: int = 0


class Reranker(Protocol):
    """Query and candidates in, relevance out."""

    @property
    def info(self) -> RerankerInfo: ...

    async def rerank(
        self, query: str, collection: Collection, candidates: Sequence[Candidate], *, instruct: str | None = None
    ) -> Reranking:
        """Score every candidate against ``query``."""
        ...

    async def close(self) -> None: ...


# --- vectors -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IndexRef:
    """Names one physical index: a collection and the generation of it."""

    collection: str
    generation: int = 1


def index_of(collection: Collection) -> IndexRef:
    """The physical index that serves a collection; a deleted and re-made collection never meets its old one."""
    return IndexRef(f"{collection.name}.{collection.uid[:8]}", collection.generation)


@dataclass(frozen=True, slots=True)
class IndexSchema:
    """What an index is made for. ``token_dimensions`` 0 stores no token vectors."""

    dimensions: int
    token_dimensions: int = 0
    fields: Mapping[str, FieldType] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Point:
    """A chunk as it is stored. ``id`` is a UUID; ``dense`` is ``None`` where the embedder does not know the text.

    ``dense``: shape (dimensions,), float32, length 1. ``tokens``: shape (k, token_dimensions), float16.
    """

    id: str
    document_id: str
    revision: int
    chunk: Chunk
    title: str = ""
    url: str = ""
    metadata: Metadata = field(default_factory=dict)
    dense: FloatArray | None = None
    tokens: HalfArray | None = None


class Hit(NamedTuple):
    """A stored chunk with its score on one arm (cosine for dense, BM25 for sparse). ``point`` comes without vectors.

    A tuple, because a search makes hundreds.
    """

    point: Point
    score: float


@dataclass(frozen=True, slots=True)
class ArmHits:
    """What each arm found, best first; ties by point id."""

    dense: tuple[Hit, ...] = ()
    sparse: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class PointScores:
    """Exact scores of one point on the arms that were asked for; ``None`` where it has no such vector (or no match)."""

    dense: float | None = None
    sparse: float | None = None
    maxsim: float | None = None


@dataclass(frozen=True, slots=True)
class PointKey:
    """Which point belongs to which revision of which document: what integrity checks compare."""

    id: str
    document_id: str
    revision: int
    chunk_index: int


class VectorStore(Protocol):
    """Keeps points and finds them. One ``IndexRef`` is one physical index."""

    @property
    def engine(self) -> str:
        """Name of the engine, as an answer reports it."""
        ...

    @property
    def keyword_tokenizer(self) -> str:
        """Identity of the keyword arm: tokenizer and BM25 parameters in one string."""
        ...

    async def create(self, index: IndexRef, schema: IndexSchema) -> None:
        """Make the index if it is not there; the same schema again changes nothing. New fields may be added."""
        ...

    async def drop(self, index: IndexRef) -> None:
        """Remove the index and its data; an unknown index is no error."""
        ...

    async def indexes(self) -> Sequence[IndexRef]:
        """Every index that exists."""
        ...

    async def upsert(self, index: IndexRef, points: Sequence[Point]) -> None:
        """Insert or replace points. Refuses wrong dimensions, non-finite values and zero vectors with ``ValueError``.

        Durable against the death of the process on return; against power loss after ``flush``.
        """
        ...

    async def flush(self, index: IndexRef) -> None:
        """Return once all earlier writes are on stable storage."""
        ...

    async def delete_documents(self, index: IndexRef, keep: Mapping[str, int | None]) -> None:
        """For each document id remove all points but those of the given revision (``None``: all of them)."""
        ...

    async def query(
        self,
        index: IndexRef,
        *,
        dense: FloatArray | None = None,
        text: str | None = None,
        limit: int,
        filter: Filter | None = None,
    ) -> ArmHits:
        """Run both arms in one round trip, ``limit`` hits each; an arm that gets no input stays empty."""
        ...

    async def score(
        self,
        index: IndexRef,
        point_ids: Sequence[str],
        *,
        dense: FloatArray | None = None,
        text: str | None = None,
        tokens: HalfArray | FloatArray | None = None,
    ) -> Mapping[str, PointScores]:
        """Exact scores of the given points, in one round trip.

        ``maxsim`` is the sum over the query's tokens of the best inner product with a token of the point.
        """
        ...

    async def fetch(self, index: IndexRef, point_ids: Sequence[str]) -> Mapping[str, Point]:
        """The points of these ids with their vectors; unknown ids are left out."""
        ...

    async def count(self, index: IndexRef) -> int:
        """How many points the index holds."""
        ...

    def keys(self, index: IndexRef) -> AsyncIterator[PointKey]:
        """Every point's key, in no particular order."""
        ...

    async def check(self) -> None:
        """Raise if the engine cannot serve."""
        ...

    async def close(self) -> None:
        """Flush and let go."""
        ...


# --- catalog -------------------------------------------------------------------------------------


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
