"""What it does to the ledger to try a job's failures again, or to cancel a job: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from winnow.catalog.rules.entries import CANCELLED, Entry, is_leased
from winnow.catalog.rules.submissions import Order, condemned, queued
from winnow.core.errors import Conflict

REASON: Final = "cancelled before it was indexed; what was indexed before stays searchable"


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What becomes of documents that a cancelled job still waits for.

    Attributes:
        removed: those that were never indexed; they are deleted, for the order's job.
        stopped: those whose change is not carried out.
    """

    removed: tuple[Entry, ...]
    stopped: tuple[Entry, ...]


def plan_retry(entries: Iterable[Entry], job_id: str, order: Order) -> tuple[Entry, ...]:
    """The entries that failed in the job and have not changed since, queued for the order's job."""
    return tuple(_again(entry, order) for entry in entries if entry.job_id == job_id and has_failed(entry))


def has_failed(entry: Entry) -> bool:
    """Tell whether the last thing that happened to the document, or to its deletion, is that it failed."""
    return entry.state == "failed" or (entry.state == "deleting" and entry.due_at is None)


def _again(entry: Entry, order: Order) -> Entry:
    return replace(queued(entry, order), state="deleting" if entry.state == "deleting" else "pending")


def plan_cancellation(entries: Iterable[Entry], job_id: str, order: Order) -> Cancellation:
    """Decide about documents that the job may still wait for."""
    removed: list[Entry] = []
    stopped: list[Entry] = []
    for entry in entries:
        if not waits_for(entry, job_id):
            continue
        if entry.indexed_revision is None:
            removed.append(condemned(entry, order))
        elif not is_leased(entry, order.now):  # a worker may just be removing what was indexed before: let it finish
            stopped.append(_stopped(entry, order))
    return Cancellation(tuple(removed), tuple(stopped))


def waits_for(entry: Entry, job_id: str) -> bool:
    """Tell whether the job waits for the document to be indexed."""
    return entry.job_id == job_id and entry.state == "pending" and entry.due_at is not None


def _stopped(entry: Entry, order: Order) -> Entry:
    return replace(
        entry,
        token=entry.token + 1,
        state="failed",
        updated_at=order.now,
        due_at=None,
        lease_owner=None,
        error=REASON,
        error_code=CANCELLED,
    )


def deletion_stays(job_id: str) -> Conflict:
    """The error of who tries to cancel a deletion."""
    return Conflict(
        f"job {job_id} deletes documents, and a deletion cannot be cancelled: they are hidden already and their points "
        "may be gone; hand the documents in again"
    )
