"""The four seams: ``Embedder``, ``Reranker``, ``VectorStore``, ``Catalog``, and the shapes that cross them.

Async only, domain types only. Whoever implements a port passes its contract suite in ``winnow.testing.contracts``.
Errors are those of ``winnow.core.errors``; no vendor's exception leaves an adapter.
"""

from winnow.core.types import IndexRef, IndexSchema
from winnow.ports.catalog import Catalog, CollectionCatalog, DocumentCatalog, JobCatalog, LedgerAudit, WorkQueue
from winnow.ports.checks import Finding, FindingStatus, Remote
from winnow.ports.models import (
    MIN_COVERAGE,
    EmbeddedQuery,
    Embedder,
    EmbedderInfo,
    Embeddings,
    EmbedKind,
    Passage,
    Reranker,
    RerankerInfo,
    Reranking,
    Tokenizer,
)
from winnow.ports.records import (
    ChunkKey,
    Claim,
    DocumentKey,
    Job,
    JobFailure,
    LedgerEntry,
    Outcome,
    ReembedProgress,
    Rejection,
    Removal,
    StoredDocument,
    Submission,
)
from winnow.ports.vectors import (
    ArmHits,
    CopyableStore,
    Hit,
    Point,
    PointKey,
    PointScores,
    VectorStore,
)

__all__ = [
    "MIN_COVERAGE",
    "ArmHits",
    "Catalog",
    "ChunkKey",
    "Claim",
    "CollectionCatalog",
    "CopyableStore",
    "DocumentCatalog",
    "DocumentKey",
    "EmbedKind",
    "EmbeddedQuery",
    "Embedder",
    "EmbedderInfo",
    "Embeddings",
    "Finding",
    "FindingStatus",
    "Hit",
    "IndexRef",
    "IndexSchema",
    "Job",
    "JobCatalog",
    "JobFailure",
    "LedgerAudit",
    "LedgerEntry",
    "Outcome",
    "Passage",
    "Point",
    "PointKey",
    "PointScores",
    "ReembedProgress",
    "Rejection",
    "Remote",
    "Removal",
    "Reranker",
    "RerankerInfo",
    "Reranking",
    "StoredDocument",
    "Submission",
    "Tokenizer",
    "VectorStore",
    "WorkQueue",
]
