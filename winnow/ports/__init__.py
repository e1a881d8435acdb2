"""The four seams: ``Embedder``, ``Reranker``, ``VectorStore``, ``Catalog``, and the shapes that cross them.

Async only, domain types only. Whoever implements a port passes its contract suite in ``tests/contracts/``.
Errors are those of ``winnow.core.errors``; no vendor's exception leaves an adapter.
"""

from winnow.ports.catalog import (
    Catalog,
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
    IndexRef,
    IndexSchema,
    Point,
    PointKey,
    PointScores,
    VectorStore,
    index_of,
    other_index_of,
)

__all__ = [
    "ArmHits",
    "Catalog",
    "ChunkKey",
    "Claim",
    "CopyableStore",
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
    "JobFailure",
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
    "index_of",
    "other_index_of",
]
