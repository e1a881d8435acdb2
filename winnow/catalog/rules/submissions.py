"""What a submission or a request for deletions does to the ledger. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from winnow.catalog.rules.entries import Entry, is_leased
from winnow.core.documents import hash_content
from winnow.core.tenancy import plain_id
from winnow.core.types import Document, DocumentState
from winnow.ports import Rejection, Submission

LARGEST_INTEGER: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Order:
    """What all documents of one request share. ``tenant`` is ``None`` where they are of several."""

    job_id: str
    source: str
    priority: int
    now: datetime
    tenant: str | None = ""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A submitted document: its place in the batch and the hash of its content."""

    index: int
    document: Document
    content_hash: str


@dataclass(frozen=True, slots=True)
class IncomingBatch:
    """A submission, sorted into documents that can be stored and rejections."""

    incoming: tuple[Incoming, ...]
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class LedgerChange:
    """What a request changes in the ledger.

    Attributes:
        created: entries of new documents.
        revised: known entries that get new content.
        touched: known entries that change without their content.
        superseded: per older job, how many documents it loses to this one.
    """

    submission: Submission
    created: tuple[Entry, ...] = ()
    revised: tuple[Entry, ...] = ()
    touched: tuple[Entry, ...] = ()
    superseded: Counter[str] = field(default_factory=Counter)


def touching(touched: Sequence[Entry], order: Order) -> LedgerChange:
    """The change that writes these entries back, and nothing else."""
    return LedgerChange(Submission(order.job_id, len(touched), 0), touched=tuple(touched))


def sort_batch(documents: Sequence[Document]) -> IncomingBatch:
    """Hash a batch and reject duplicates and documents that cannot be stored. Takes time: run it off the event loop."""
    seen: set[str] = set()
    incoming: list[Incoming] = []
    rejections: list[Rejection] = []
    for index, document in enumerate(documents):
        if document.id in seen:
            message = f"id {plain_id(document.id)!r} appears more than once in this batch; send each document once"
            rejections.append(Rejection(index, plain_id(document.id), "duplicate_id", message))
            continue
        seen.add(document.id)
        try:
            incoming.append(_storable(index, document))
        except (TypeError, ValueError) as error:
            message = f"document {plain_id(document.id)!r} cannot be stored: {error}"
            rejections.append(Rejection(index, plain_id(document.id), "invalid_document", message))
    return IncomingBatch(tuple(incoming), tuple(rejections))


def _storable(index: int, document: Document) -> Incoming:
    if any("\0" in part for part in (document.id, document.title, document.url, document.text)):
        raise ValueError("it contains the character U+0000; remove it")
    if document.version is not None and abs(document.version) > LARGEST_INTEGER:
        raise ValueError("its version is beyond 64 bits; use a smaller number")
    document.id.encode()  # raises for a lone surrogate; the other parts are checked as they are hashed
    return Incoming(index, document, hash_content(document))


def plan_submission(
    batch: IncomingBatch, known: Mapping[str, Entry], removed: Mapping[str, int], order: Order
) -> LedgerChange:
    """Decide about every document of a batch.

    Args:
        batch: the submission.
        known: the stored entries by document id.
        removed: the last revision of documents that were deleted a short while ago.
        order: see ``Order``.
    """
    created: list[Entry] = []
    revised: list[Entry] = []
    touched: list[Entry] = []
    rejections = list(batch.rejections)
    superseded: Counter[str] = Counter()
    unchanged = 0
    for item in batch.incoming:
        entry = known.get(item.document.id)
        if entry is None:
            document, revision = item.document, removed.get(item.document.id, 0) + 1
            created.append(
                new_entry(document.id, item.content_hash, document.version, order, revision=revision, state="pending")
            )
        elif _goes_backwards(entry, item.document):
            rejections.append(_outdated(item, entry))
        elif entry.state == "pending" and entry.content_hash == item.content_hash:  # the newer job waits for it instead
            touched.append(replace(_kept(entry, item, order), job_id=order.job_id))
            superseded.update(_loser(entry))
        elif entry.state == "indexed" and entry.content_hash == item.content_hash:
            unchanged += 1
            if (kept := _kept(entry, item, order)) != entry:
                touched.append(kept)
        else:
            revised.append(_revised(entry, item, order))
            superseded.update(_loser(entry))
    rejections.sort(key=lambda rejection: rejection.index)
    accepted = len(batch.incoming) - (len(rejections) - len(batch.rejections))
    submission = Submission(order.job_id, accepted, unchanged, tuple(rejections))
    return LedgerChange(submission, tuple(created), tuple(revised), tuple(touched), superseded)


def _goes_backwards(entry: Entry, document: Document) -> bool:
    """Tell whether the document is older than what is stored. A deleted document sets no limit."""
    if entry.state == "deleting" or entry.version is None or document.version is None:
        return False
    return document.version < entry.version


def _outdated(item: Incoming, entry: Entry) -> Rejection:
    document = item.document
    message = (
        f"document {plain_id(document.id)!r} has version {document.version}, but version {entry.version} is stored; "
        "send the newest version"
    )
    return Rejection(item.index, plain_id(document.id), "version_conflict", message)


def new_entry(
    id_: str, content_hash: str, version: int | None, order: Order, *, revision: int, state: DocumentState
) -> Entry:
    """The entry of a document that is new to the ledger, queued for the order's job."""
    return Entry(
        id=id_,
        content_hash=content_hash,
        version=version,
        revision=revision,
        state=state,
        token=int(order.now.timestamp() * 1_000_000),
        source=order.source,
        priority=order.priority,
        submitted_at=order.now,
        updated_at=order.now,
        due_at=order.now,
        job_id=order.job_id,
    )


def _kept(entry: Entry, item: Incoming, order: Order) -> Entry:
    # the source that submits a document last owns it: --delete-missing of another source must not delete it
    return replace(entry, version=_newest(entry.version, item.document.version), source=order.source)


def _newest(stored: int | None, given: int | None) -> int | None:
    versions = [version for version in (stored, given) if version is not None]
    return max(versions, default=None)


def _revised(entry: Entry, item: Incoming, order: Order) -> Entry:
    returning = entry.state == "deleting"
    revised = replace(
        queued(entry, order),
        content_hash=item.content_hash,
        version=item.document.version if returning else _newest(entry.version, item.document.version),
        revision=entry.revision + 1,
        state="pending",
        source=order.source,
    )
    # the points of a document that was being deleted may be gone already: none can be re-used
    return replace(revised, indexed_revision=None, n_chunks=0) if returning else revised


def queued(entry: Entry, order: Order) -> Entry:
    """The entry, queued for the order's job. A worker with a lease on it keeps it, and then releases it."""
    leased = is_leased(entry, order.now)
    return replace(
        entry,
        token=entry.token if leased else entry.token + 1,
        priority=order.priority,
        submitted_at=order.now,
        updated_at=order.now,
        due_at=entry.due_at if leased else order.now,
        lease_owner=entry.lease_owner if leased else None,
        attempts=0,
        job_id=order.job_id,
        error=None,
        error_code=None,
    )


def _loser(entry: Entry) -> tuple[str, ...]:
    # no job waits for an indexed document, even if it is due to be embedded again
    return () if entry.due_at is None or entry.state == "indexed" else (entry.job_id,)


def plan_tombstones(document_ids: Sequence[str], known: Mapping[str, Entry], order: Order) -> LedgerChange:
    """Decide about documents to be deleted. One that is unknown or being deleted counts as unchanged."""
    wanted = tuple(dict.fromkeys(document_ids))
    touched: list[Entry] = []
    superseded: Counter[str] = Counter()
    for document_id in wanted:
        entry = known.get(document_id)
        if entry is None or (entry.state == "deleting" and entry.due_at is not None):
            continue
        touched.append(condemned(entry, order))
        superseded.update(_loser(entry))
    submission = Submission(order.job_id, len(wanted), len(wanted) - len(touched))
    return LedgerChange(submission, touched=tuple(touched), superseded=superseded)


def condemned(entry: Entry, order: Order) -> Entry:
    """The entry, queued to be deleted. A deletion is a revision of its own: older points never come back after it."""
    return replace(queued(entry, order), state="deleting", revision=entry.revision + 1)
