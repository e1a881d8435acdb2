"""The four seams: ``Embedder``, ``Reranker``, ``VectorStore``, ``Catalog``, and the shapes that cross them.

Async only, domain types only. Whoever implements a port passes its contract suite in ``winnow.testing.contracts``.
Errors are those of ``winnow.core.errors``; no vendor's exception leaves an adapter.
"""

from winnow.core.types import IndexRef as IndexRef
from winnow.core.types import IndexSchema as IndexSchema
from winnow.ports.catalog import Catalog as Catalog
from winnow.ports.catalog import CollectionCatalog as CollectionCatalog
from winnow.ports.catalog import DocumentCatalog as DocumentCatalog
from winnow.ports.catalog import JobCatalog as JobCatalog
from winnow.ports.catalog import LedgerAudit as LedgerAudit
from winnow.ports.catalog import WorkQueue as WorkQueue
from winnow.ports.checks import Finding as Finding
from winnow.ports.checks import FindingStatus as FindingStatus
from winnow.ports.checks import Remote as Remote
from winnow.ports.files import FileItem as FileItem
from winnow.ports.files import FileParser as FileParser
from winnow.ports.files import UploadedFile as UploadedFile
from winnow.ports.keys import ApiKey as ApiKey
from winnow.ports.keys import KeyCatalog as KeyCatalog
from winnow.ports.keys import KeySummary as KeySummary
from winnow.ports.models import MIN_COVERAGE as MIN_COVERAGE
from winnow.ports.models import Deferred as Deferred
from winnow.ports.models import EmbeddedQuery as EmbeddedQuery
from winnow.ports.models import Embedder as Embedder
from winnow.ports.models import EmbedderInfo as EmbedderInfo
from winnow.ports.models import Embeddings as Embeddings
from winnow.ports.models import EmbedKind as EmbedKind
from winnow.ports.models import HasEarlier as HasEarlier
from winnow.ports.models import Passage as Passage
from winnow.ports.models import Reranker as Reranker
from winnow.ports.models import RerankerInfo as RerankerInfo
from winnow.ports.models import Reranking as Reranking
from winnow.ports.models import Tokenizer as Tokenizer
from winnow.ports.models import earlier_of as earlier_of
from winnow.ports.models import is_idle as is_idle
from winnow.ports.records import ChunkKey as ChunkKey
from winnow.ports.records import Claim as Claim
from winnow.ports.records import DescribedKey as DescribedKey
from winnow.ports.records import DocumentKey as DocumentKey
from winnow.ports.records import Job as Job
from winnow.ports.records import JobFailure as JobFailure
from winnow.ports.records import LedgerEntry as LedgerEntry
from winnow.ports.records import Outcome as Outcome
from winnow.ports.records import ReembedProgress as ReembedProgress
from winnow.ports.records import Rejection as Rejection
from winnow.ports.records import Removal as Removal
from winnow.ports.records import StoredDocument as StoredDocument
from winnow.ports.records import Submission as Submission
from winnow.ports.tokens import OWN_ISSUER as OWN_ISSUER
from winnow.ports.tokens import Algorithm as Algorithm
from winnow.ports.tokens import Jwk as Jwk
from winnow.ports.tokens import SigningKey as SigningKey
from winnow.ports.tokens import TokenCatalog as TokenCatalog
from winnow.ports.tokens import TokenIssuer as TokenIssuer
from winnow.ports.trail import AuditEvent as AuditEvent
from winnow.ports.trail import AuditTrail as AuditTrail
from winnow.ports.vectors import ArmHits as ArmHits
from winnow.ports.vectors import CopyableStore as CopyableStore
from winnow.ports.vectors import FoundPoint as FoundPoint
from winnow.ports.vectors import Hit as Hit
from winnow.ports.vectors import Point as Point
from winnow.ports.vectors import PointKey as PointKey
from winnow.ports.vectors import PointScores as PointScores
from winnow.ports.vectors import VectorStore as VectorStore
