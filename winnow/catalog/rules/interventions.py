"""What an operator's interventions do to the ledger: retrying or cancelling a job, repairing documents. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from winnow.catalog.rules.entries import CANCELLED, Entry, is_leased
from winnow.catalog.rules.submissions import LedgerChange, Order, condemned, new_entry, queued, touching
from winnow.core.errors import Conflict
from winnow.ports import Submission

NO_CONTENT: Final = ""
REASON: Final = "cancelled before it was indexed; what was indexed before stays searchable"


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What happens to documents that a cancelled job still waits for.

    Attributes:
        removed: those that were never indexed; they are deleted, for the order's job.
        stopped: those whose change is not carried out.
    """

    removed: tuple[Entry, ...]
    stopped: tuple[Entry, ...]


def plan_retry(entries: Iterable[Entry], job_id: str, order: Order) -> LedgerChange:
    """Queue the entries that failed in the job and have not changed since, for the order's job."""
    return touching([_again(entry, order) for entry in entries if entry.job_id == job_id and _has_failed(entry)], order)


def _has_failed(entry: Entry) -> bool:
    """Tell whether the document's newest revision, or its deletion, failed."""
    return entry.state == "failed" or (entry.state == "deleting" and entry.due_at is None)


def _again(entry: Entry, order: Order) -> Entry:
    return replace(queued(entry, order), state="deleting" if entry.state == "deleting" else "pending")


def plan_cancellation(entries: Iterable[Entry], job_id: str, order: Order) -> Cancellation:
    """Decide about documents that the job may still wait for."""
    removed: list[Entry] = []
    stopped: list[Entry] = []
    for entry in entries:
        if entry.job_id != job_id or entry.state != "pending" or entry.due_at is None:
            continue
        if entry.indexed_revision is None:
            removed.append(condemned(entry, order))
        elif not is_leased(entry, order.now):  # a worker may be removing the indexed revision now: let it finish
            stopped.append(_stopped(entry, order))
    return Cancellation(tuple(removed), tuple(stopped))


def _stopped(entry: Entry, order: Order) -> Entry:
    ended = replace(entry, token=entry.token + 1, updated_at=order.now, due_at=None, lease_owner=None)
    return replace(ended, state="failed", error=REASON, error_code=CANCELLED)


def deletion_stays(job_id: str) -> Conflict:
    """The error for an attempt to cancel a deletion."""
    return Conflict(
        f"job {job_id} deletes documents, and a deletion cannot be cancelled: they are hidden already and their points "
        "may be gone; hand the documents in again"
    )


def rebuild_stays(job_id: str) -> Conflict:
    """The error for an attempt to cancel the job that fills a lost index again."""
    return Conflict(
        f"job {job_id} fills an index again that was lost, and cannot be cancelled: its documents would not be found; "
        "delete the collection if it is not needed"
    )


def plan_repair(revisions: Mapping[str, int], known: Mapping[str, Entry], order: Order) -> LedgerChange:
    """Decide about every document whose points are damaged; ``revisions`` has the highest one among its points."""
    created: list[Entry] = []
    touched: list[Entry] = []
    for document_id, revision in revisions.items():
        entry = known.get(document_id)
        if entry is None:  # points without a document take the way of deletions: a later document's are never meant
            created.append(new_entry(document_id, NO_CONTENT, None, order, revision=revision, state="deleting"))
        elif entry.due_at is None or entry.state == "indexed":
            touched.append(_rewritten(entry, revision, order))
    unchanged = len(revisions) - len(created) - len(touched)
    submission = Submission(order.job_id, len(revisions), unchanged)
    return LedgerChange(submission, created=tuple(created), touched=tuple(touched))


def _rewritten(entry: Entry, revision: int, order: Order) -> Entry:
    if entry.state == "deleting":
        return queued(entry, order)
    # a new revision has point ids of its own: existing points do not interfere, and are removed after it
    return replace(queued(entry, order), state="pending", revision=max(entry.revision, revision) + 1)
