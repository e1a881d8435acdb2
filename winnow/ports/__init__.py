"""The four seams: ``Embedder``, ``Reranker``, ``VectorStore``, ``Catalog``, and the shapes that cross them.

Async only, domain types only. Whoever implements a port passes its contract suite in ``tests/contracts/``.
Errors are those of ``winnow.core.errors``; no vendor's exception leaves an adapter.
"""

from winnow.core.types import IndexRef, IndexSchema
from winnow.ports.catalog import (
    Catalog,
    ChunkKey,
    Claim,
    CollectionCatalog,
    DocumentCatalog,
    DocumentKey,
    Job,
    JobCatalog,
    JobFailure,
    LedgerAudit,
    LedgerEntry,
    Outcome,
    ReembedProgress,
    Rejection,
    Removal,
    StoredDocument,
    Submission,
    WorkQueue,
)
from winnow.ports.checks import Finding, FindingStatus, Remote
from winnow.ports.models import (
    Embedder,
    EmbedderInfo,
    Embeddings,
    EmbedKind,
    Reranker,
    RerankerInfo,
    Reranking,
    Tokenizer,
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
    "ArmHits",
    "Catalog",
    "ChunkKey",
    "Claim",
    "CollectionCatalog",
    "CopyableStore",
    "DocumentCatalog",
    "DocumentKey",
    "EmbedKind",
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
