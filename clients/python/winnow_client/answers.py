"""The answers of the service as frozen dataclasses. Members that a newer service adds are in ``raw``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

JsonObject = Mapping[str, Any]
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of code points."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Expanded:
    """What is returned as a result's text: offsets into the document's text; ``prefix`` is repeated from before it."""

    start: int
    end: int
    prefix: str = ""
    merged: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A document that was folded into a result."""

    document_id: str
    url: str
    collection: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """The span of the document that matched, in code points of its canonical text."""

    index: int
    start: int
    end: int
    headings: Sequence[str] = ()
    anchor: str = ""
    prefix: str = ""
    page: int | None = None
    slide: int | None = None
    sheet: str | None = None
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One result of a search.

    Attributes:
        relevance_score: of the second stage, 0 to 1; ``None`` where it did not score the result.
        text: ``None`` with ``return_documents=False``.
        expanded, tokens, duplicates: only with ``expand``, ``max_tokens`` or ``fold_duplicates``.
        collection, query: only of ``search_many``.
        raw: the result as the service sent it.
    """

    rank: int
    document_id: str
    title: str
    url: str
    chunk: Chunk
    text: str | None
    highlights: Sequence[Span]
    metadata: JsonObject
    relevance_score: float | None
    retrieval_score: float
    stages: JsonObject
    exact: str | None = None
    expanded: Expanded | None = None
    tokens: int | None = None
    duplicates: Sequence[Duplicate] = ()
    collection: str | None = None
    query: str | None = None
    raw: JsonObject = field(default_factory=dict, repr=False)

    @property
    def span(self) -> Span:
        """The place of ``text`` in the document: ``document.text[start:end]``, after what ``prefix`` repeats."""
        place = self.chunk if self.expanded is None else self.expanded
        return Span(place.start, place.end)


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """The answer to a search; ``score_kind`` says which score orders it, ``next`` is the cursor of the next page."""

    id: str
    collection: str
    query: str
    results: Sequence[Result]
    score_kind: Literal["relevance", "retrieval"]
    degraded: bool
    stages: JsonObject
    took_ms: float
    answerable: JsonObject | None = None
    facets: JsonObject | None = None
    next: str | None = None
    tokenizer: str | None = None
    tokens: int | None = None
    left_out: int | None = None
    raw: JsonObject = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ManyAnswer:
    """The answer to several searches, as one list; ``searches`` reports on each, ``facets`` count over all.

    ``next`` is the cursor of the next page.
    """

    id: str
    results: Sequence[Result]
    score_kind: Literal["relevance", "retrieval"]
    degraded: bool
    searches: Sequence[JsonObject]
    took_ms: float
    next: str | None = None
    facets: JsonObject | None = None
    tokenizer: str | None = None
    tokens: int | None = None
    left_out: int | None = None
    raw: JsonObject = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Document:
    """A document with the state of its indexing. ``error`` is set in state ``failed``."""

    id: str
    text: str
    title: str
    url: str
    metadata: JsonObject
    state: Literal["pending", "indexed", "failed", "deleting"]
    revision: int
    source_format: str
    tenant: str = ""
    version: int | None = None
    chunks: int = 0
    error: JsonObject | None = None
    acl: JsonObject | None = None
    warnings: Sequence[JsonObject] = ()
    raw: JsonObject = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class DocumentKey:
    """A row of a listing of documents."""

    id: str
    state: str
    revision: int
    content_hash: str
    source: str


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """A page of documents by id; ``next`` is the ``after`` of the following page, ``None`` on the last."""

    documents: Sequence[DocumentKey]
    next: str | None


@dataclass(frozen=True, slots=True)
class JobFailure:
    """A document of a job that failed."""

    document_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """The progress of a submission."""

    id: str
    collection: str
    status: Literal["pending", "running", "done"]
    total: int
    pending: int
    indexed: int
    deleted: int
    unchanged: int
    failed: int
    failures: Sequence[JobFailure] = ()
    raw: JsonObject = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs, newest first; ``next`` as in ``DocumentPage``."""

    jobs: Sequence[Job]
    next: str | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A document that was not accepted."""

    index: int
    id: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Submission:
    """Which documents of a batch were accepted; ``job`` with ``wait=True``."""

    job_id: str
    accepted: int
    rejected: Sequence[Rejection] = ()
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class Deletion:
    """The number of documents that are being deleted; ``job`` with ``wait=True``."""

    job_id: str
    deleted: int
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection with its settings and counts."""

    name: str
    status: str
    counts: Mapping[str, int]
    fields: Mapping[str, str]
    metadata: JsonObject
    identity: JsonObject
    chunking: Mapping[str, int]
    raw: JsonObject = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Key:
    """A key; ``key`` is its secret, which only the call that makes it returns."""

    id: str
    label: str
    scopes: Sequence[str]
    collections: Sequence[str]
    tenant: str | None = None
    key: str | None = field(default=None, repr=False)
    raw: JsonObject = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Scored:
    """A text of a reranking: its position among those that were sent, and its score in [0, 1]."""

    index: int
    relevance_score: float


@dataclass(frozen=True, slots=True)
class Reranking:
    """Texts by relevance, best first, and the model that scored them."""

    model: str
    results: Sequence[Scored]


def read(kind: type[_Read], row: JsonObject) -> _Read:
    """A dataclass of the members of ``row`` that it knows, with all of them under ``raw`` where it has that."""
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    inner = {**_NESTED, "results": Scored if kind is Reranking else Result}
    known = {name: _member(inner.get(name), value) for name, value in row.items() if name in names}
    return kind(**known, **({"raw": row} if "raw" in names else {}))


def _member(kind: type[Any] | None, value: Any) -> Any:
    if kind is None or value is None:
        return value
    return tuple(read(kind, each) for each in value) if isinstance(value, list) else read(kind, value)


_NESTED: Mapping[str, type[Any]] = {
    "chunk": Chunk,
    "expanded": Expanded,
    "highlights": Span,
    "duplicates": Duplicate,
    "documents": DocumentKey,
    "failures": JobFailure,
    "job": Job,
    "jobs": Job,
    "rejected": Rejection,
}
