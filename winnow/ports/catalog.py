"""The ports of the catalog, one for each kind of caller."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from winnow.core.rules import RuleSet
from winnow.core.types import Collection, Counts, Document, DocumentState, IndexIdentity, JobStatus
from winnow.ports.analytics import AnalyticsCatalog
from winnow.ports.kept_files import FileCatalog
from winnow.ports.kept_sources import KeptSourceCatalog
from winnow.ports.keys import KeyCatalog
from winnow.ports.rebuilds import RebuildCatalog
from winnow.ports.records import (
    Changes,
    Claim,
    DescribedKey,
    DocumentKey,
    Job,
    LedgerEntry,
    Outcome,
    ReembedProgress,
    Removal,
    StoredDocument,
    Submission,
    TextSpan,
)
from winnow.ports.result_lists import ResultLists
from winnow.ports.tokens import TokenCatalog
from winnow.ports.trail import AuditTrail


class CollectionCatalog(Protocol):
    """Collections and their pair of indexes. Every method is one transaction."""

    async def create(self, collection: Collection) -> Collection:
        """Store a new collection; if the name exists, return the stored one unchanged."""

    async def get(self, name: str) -> Collection:
        """Raise ``CollectionNotFound`` for an unknown name or one that is being deleted."""

    async def get_with_counts(self, name: str) -> tuple[Collection, Counts]:
        """As ``get``, with the numbers of documents and chunks, in one statement."""

    async def list(self, *, deleting: bool = False) -> Sequence[Collection]:
        """Collections by name: those in service, or with ``deleting`` those whose deletion was not finished."""

    async def list_with_counts(self) -> Sequence[tuple[Collection, Counts]]:
        """Collections in service by name, with the numbers of documents and chunks, in one statement."""

    async def update(self, collection: Collection) -> Collection:
        """Replace fields, instructs, metadata, chunking and ``access.default`` of the collection; its indexes stay."""

    async def settle_model(self, collection: Collection) -> Collection:
        """Store identity and chunking of a collection that awaits its model and has no documents.

        Returns:
            The collection as it is then: one that has its model, or documents, keeps both, and awaits none any more.

        Raises:
            CollectionNotFound: it does not exist.
        """

    async def replace_rules(self, name: str, rules: RuleSet, *, expected: int | None = None) -> Collection:
        """Keep these rules as the next version; the version that they have is not looked at.

        Raises:
            CollectionNotFound: it does not exist.
            VersionConflict: the stored rules are of another version than the expected one.
        """

    async def mark_access(self, name: str) -> Collection:
        """Note that there are documents with a tenant or an access list; this is never taken back."""

    async def mark_deleting(self, name: str) -> Collection:
        """Take the collection out of service: from now on it is not found."""

    async def purge(self, uid: str) -> None:
        """Remove the rows of a collection that was marked as deleting, in several transactions."""

    async def begin_reembed(self, name: str, identity: IndexIdentity) -> Collection:
        """Give the collection a second index of a new number, to be built; ``Conflict`` where it has one already."""

    async def switch_index(self, name: str, *, force: bool = False) -> Collection:
        """Exchange the serving index and the one beside it, which is kept.

        Raises:
            Conflict: there is no second index, or it lacks documents and ``force`` is not given.
        """

    async def clear_beside(self, name: str) -> Collection:
        """Remove the index beside the serving one from the row, if there is one; the caller then deletes its points."""


class DocumentCatalog(Protocol):
    """Documents: submitted, deleted, read. Every method is one transaction."""

    async def submit(
        self, collection: str, documents: Sequence[Document], *, source: str = "", priority: int = 0
    ) -> Submission:
        """Accept documents: a new revision, ``pending``, for new, changed and failed ones; nothing for unchanged ones.

        A document that already waits with the same content keeps its place, and the new job waits for it. Duplicate
        ids and versions that go backwards are rejected one by one. Committed on return. ``priority``: higher is served
        first (interactive 10, bulk 0).
        """

    async def tombstone(self, collection: str, document_ids: Sequence[str], *, priority: int = 0) -> Submission:
        """Mark documents for deletion; unknown ids count as ``unchanged``. Committed on return."""

    async def get(self, collection: str, document_id: str) -> StoredDocument:
        """Raise ``DocumentNotFound`` for an unknown id or one that is being deleted."""

    def scan(self, collection: str, *, source: str | None = None) -> AsyncIterator[StoredDocument]:
        """Every document that is not being deleted, by id, in bounded batches."""

    def scan_keys(
        self,
        collection: str,
        *,
        after: str = "",
        source: str | None = None,
        state: DocumentState | None = None,
        tenant: str | None = None,
        descending: bool = False,
    ) -> AsyncIterator[DescribedKey]:
        """As ``list`` without a limit, in bounded batches, with what filters look at; no text is read."""

    async def list(
        self,
        collection: str,
        *,
        after: str = "",
        limit: int = 1000,
        source: str | None = None,
        state: DocumentState | None = None,
        tenant: str | None = None,
        descending: bool = False,
    ) -> Sequence[DocumentKey]:
        """Keys by id, those beyond ``after`` (before it, if ``descending``), of all tenants or of one.

        Documents being deleted only when ``state`` asks for them.
        """

    async def texts_between(self, collection: str, spans: Sequence[TextSpan]) -> Sequence[str | None]:
        """Read the texts of spans, a hundred at most, in one statement.

        A document with another revision, or none, has ``None``.
        """

    async def counts(self, name: str, *, tenant: str | None = None) -> Counts:
        """Documents per state and chunks of a collection, or of one tenant's part, which takes longer."""


class WorkQueue(Protocol):
    """The ledger of work as workers see it: leases, fencing tokens, outcomes. Every method is one transaction."""

    async def claim(self, owner: str, *, limit: int, lease_seconds: float) -> Sequence[Claim]:
        """Lease up to ``limit`` documents whose work is due, of one collection, highest priority and oldest first."""

    async def renew(self, owner: str, claims: Sequence[Claim], *, lease_seconds: float) -> int:
        """Extend the leases that are still valid; return how many were."""

    async def commit(self, outcomes: Sequence[Outcome]) -> Sequence[bool]:
        """Record outcomes. False for each whose token or revision has moved on: nothing was recorded for it."""

    async def outdated(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        """Claims whose documents have a newer revision or are gone: the points written for them must be removed."""

    async def release(self, owner: str | None = None, *, tried: bool = True) -> int:
        """Give back the leases of ``owner``, or all leases (only where one process owns the storage).

        ``tried`` is whether they count as attempts at their documents: those of a worker that was lost do, those of
        one that was told to stop do not.
        """

    async def backlog(self) -> int:
        """The number of documents with work, including leased ones."""

    async def oldest_work(self) -> datetime | None:
        """When the document that has waited longest was submitted, leased ones included, re-embedding left out."""

    async def is_unattended(self, seconds: float) -> bool:
        """Tell whether work has been due for ``seconds`` and no work is leased or put off: no worker seems to run."""

    async def enqueue_reembed(self, name: str, *, limit: int = 1000) -> int:
        """Queue up to ``limit`` documents that the second index lacks, after all other work; return how many."""

    async def removals(self, *, limit: int) -> Sequence[Removal]:
        """Deletions to be repeated, oldest first: a stalled worker may have written points since."""

    async def forget_removals(self, removals: Sequence[Removal]) -> None:
        """Forget removals that were repeated, except for documents that were deleted again since."""


class JobCatalog(Protocol):
    """Jobs: one for each submission. Every method is one transaction."""

    async def get(self, job_id: str) -> Job:
        """Raise ``JobNotFound`` for an unknown id."""

    async def list(
        self,
        *,
        collection: str | None = None,
        among: Sequence[str] | None = None,
        status: JobStatus | None = None,
        failed: bool = False,
        after: str = "",
        limit: int = 100,
        tenant: str | None = None,
    ) -> Sequence[Job]:
        """Jobs, newest first, of all tenants or of one, those older than job ``after``.

        With ``failed`` only those with failures.

        ``collection`` raises ``CollectionNotFound`` if it does not exist; ``among`` leaves out all other collections.
        """

    async def retry(self, job_id: str, *, priority: int = 0) -> Submission:
        """Queue the documents of a job that failed and were not submitted again since, for a new job.

        ``accepted`` counts them; if there are none, no job is made and ``job_id`` is empty.
        """

    async def cancel(self, job_id: str) -> Job:
        """Cancel the work of a job that is not done yet, in several transactions; return the job afterwards.

        A document that was never indexed is deleted, by a job of its own. A changed one is ``failed`` with the code
        ``cancelled`` and its indexed revision stays searchable; one that a worker is processing is finished.

        Raises:
            Conflict: the job deletes documents, and deletions cannot be undone.
        """

    async def prune(self, *, before: datetime, limit: int = 1000) -> int:
        """Delete at most ``limit`` jobs that finished before this moment, with their failures; return how many."""


class LedgerAudit(Protocol):
    """The ledger as integrity checks and progress reports see it. Every method is one transaction."""

    async def entries(
        self, collection: str, *, after: str = "", limit: int = 1000, among: Sequence[str] | None = None
    ) -> Sequence[LedgerEntry]:
        """Entries by id, those beyond ``after``, also of documents being deleted; with ``among`` only those."""

    async def changes(self, collection: str, since: datetime) -> Changes:
        """What happened to documents since a moment, by the clocks of those who wrote; no document is left out.

        Deletions are remembered for ten minutes only: who asks less often reads all ``entries``.
        """

    async def repair(self, collection: str, revisions: Mapping[str, int], *, priority: int = 0) -> Submission:
        """Have the points of documents written again, or removed if the catalog has no such document.

        Workers do the work under lease and token, as usual. A document without work becomes ``pending`` with a revision
        above its own and the given one, which is the highest among its points; an unknown document becomes a tombstone.
        A document that waits for work already counts as ``unchanged``. Committed on return.
        """

    async def unconverted(self, collection: str, *, tenant: str | None = None) -> int:
        """Count documents of a marked-up format that were stored before texts were converted (``canonical`` is false).

        Raises:
            CollectionNotFound: the collection does not exist.
        """

    async def reembed_progress(self, name: str) -> ReembedProgress:
        """Count the documents that both indexes hold; all zero for a collection with one index."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The system of record for collections, documents, work and access: one port for each kind of caller.

    Attributes:
        check: raises if the database cannot serve.
        writes: the number of transactions in which this process may have written.
        close: closes the connections to the database.
        pools: connections in use, and those that there may be at most, by the name of their pool.
    """

    collections: CollectionCatalog
    documents: DocumentCatalog
    queue: WorkQueue
    jobs: JobCatalog
    audit: LedgerAudit
    rebuilds: RebuildCatalog
    keys: KeyCatalog
    tokens: TokenCatalog
    sources: KeptSourceCatalog
    trail: AuditTrail
    files: FileCatalog
    lists: ResultLists
    analytics: AnalyticsCatalog
    check: Callable[[], Awaitable[None]]
    writes: Callable[[], int]
    close: Callable[[], Awaitable[None]]
    pools: Callable[[], Mapping[str, tuple[int, int]]] = dict
