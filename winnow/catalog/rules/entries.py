"""The states of a document's ledger entry, and how outcomes change them. Pure.

::

    submit ──► pending ──commit──► indexed        tombstone ──► deleting ──commit──► (a removal)
                 ▲  └────commit with an error──► failed
                 └── submit of a changed, failed or deleted document: revision + 1

Every claim and every commit raises ``token``, and an outcome with an older one is refused. A document that is changed
or deleted while a worker processes it gets a new revision, and stays with that worker until its lease ends: the
worker's commit is refused and releases the document. So two workers never write a document's points at once, unless a
lease has expired (``docs/decisions/0012-stalled-workers.md``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from winnow.core.text import storable
from winnow.core.types import DocumentState
from winnow.ports import Outcome

Ending = Literal["indexed", "deleted", "failed", "superseded"]

UNNAMED_ERROR: Final = "internal_error"
CANCELLED: Final = "cancelled"
SETTLING: Final = timedelta(minutes=10)  # after a deletion: longer than a stalled worker's write can take
REEMBED_PRIORITY: Final = -10


@dataclass(frozen=True, slots=True)
class Entry:
    """The ledger's record of one document, without its content and chunks.

    Attributes:
        token: fencing token; starts at the clock's microseconds, so that a document that was deleted and is submitted
            again starts above every token that it ever had.
        due_at: when its work may be claimed: its submission, the end of a lease or of a pause; ``None`` without work.
        lease_owner: the worker that processes it, until ``due_at``.
        submitted_at: when it began to wait; the oldest is served first.
        job_id: the job of its last submission, which waits for it.
        built: the newer number of the pair of indexes that both hold ``indexed_revision``.
    """

    id: str
    content_hash: str
    version: int | None
    revision: int
    state: DocumentState
    token: int
    source: str
    priority: int
    submitted_at: datetime
    updated_at: datetime
    due_at: datetime | None
    job_id: str
    lease_owner: str | None = None
    attempts: int = 0
    indexed_revision: int | None = None
    n_chunks: int = 0
    error: str | None = None
    error_code: str | None = None
    built: int | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """The effect of an outcome: the entry afterwards (``None``: the row is deleted), and the job counter that grows.

    ``recorded`` is false where the outcome is not counted, but its worker releases the document.
    """

    entry: Entry | None
    ending: Ending | None
    recorded: bool = True


def is_leased(entry: Entry, now: datetime) -> bool:
    """Tell whether a worker is processing the document."""
    return entry.lease_owner is not None and entry.due_at is not None and entry.due_at > now


def holds(entry: Entry | None, token: int, owner: str, now: datetime) -> bool:
    """Tell whether the lease that ``owner`` got with ``token`` is still valid."""
    if entry is None or entry.due_at is None:
        return False
    return entry.token == token and entry.lease_owner == owner and entry.due_at > now


def was_tried(attempts: int, submitted_at: datetime, updated_at: datetime) -> bool:
    """Tell whether a worker has processed this revision before. A pause is not counted as an attempt, but recorded."""
    return attempts > 0 or updated_at > submitted_at


def kind_of(state: DocumentState) -> Literal["index", "delete", "reembed"]:
    """The kind of work on a document of this state."""
    return "delete" if state == "deleting" else "reembed" if state == "indexed" else "index"


def settle(entry: Entry | None, outcome: Outcome, now: datetime, *, newer: int | None = None) -> Settlement | None:
    """Apply an outcome, or return ``None`` where its token is outdated.

    ``newer`` is the collection's ``newer_generation``: a document that was not written to both of these indexes is
    queued to be embedded again.
    """
    claim = outcome.claim
    if entry is None or entry.due_at is None or entry.token != claim.token:
        return None
    if entry.revision != claim.revision:  # changed or deleted while it was being processed
        handed_on = replace(entry, token=entry.token + 1, lease_owner=None, due_at=now)
        return Settlement(handed_on, None, recorded=False)
    # the token moves with the commit, so that the same outcome is not counted twice
    return _ended(replace(entry, token=entry.token + 1, lease_owner=None, updated_at=now), outcome, newer)


def _ended(rested: Entry, outcome: Outcome, newer: int | None) -> Settlement:
    kind, now = outcome.claim.kind, rested.updated_at
    if outcome.error is not None and outcome.retry_in is not None:
        attempts = max(rested.attempts - 1, 0) if outcome.waited else rested.attempts
        return Settlement(replace(rested, attempts=attempts, due_at=now + timedelta(seconds=outcome.retry_in)), None)
    if kind == "reembed":
        return Settlement(_reembedded(rested, outcome, newer), None)
    if outcome.error is not None:
        return Settlement(_failed(rested, outcome), "failed")
    if kind == "delete":
        return Settlement(None, "deleted")
    done = replace(
        rested,
        state="indexed",
        due_at=None,
        attempts=0,
        indexed_revision=rested.revision,
        n_chunks=len(outcome.chunks),
        built=outcome.built,
    )
    return Settlement(_with_second_index(done, newer, now), "indexed")


def _with_second_index(entry: Entry, newer: int | None, now: datetime) -> Entry:
    """The entry, queued to be embedded again after all other work where a switch would lose the document.

    A document whose newest revision failed cannot be embedded again.
    """
    at_stake = entry.indexed_revision is not None and entry.state in {"indexed", "pending"}
    if newer is None or entry.built == newer or not at_stake:
        return entry
    return replace(entry, due_at=now, submitted_at=now, priority=REEMBED_PRIORITY, attempts=0, lease_owner=None)


def _reembedded(entry: Entry, outcome: Outcome, newer: int | None) -> Entry:
    if outcome.error is not None:
        code = outcome.error_code or UNNAMED_ERROR
        return replace(entry, due_at=None, attempts=0, error=storable(outcome.error), error_code=code)
    rested = replace(entry, due_at=None, attempts=0, built=outcome.built, error=None, error_code=None)
    return _with_second_index(rested, newer, entry.updated_at)


def _failed(entry: Entry, outcome: Outcome) -> Entry:
    # a deletion that failed stays hidden: a deleted document never comes back by itself
    state: DocumentState = "deleting" if entry.state == "deleting" else "failed"
    code = outcome.error_code or UNNAMED_ERROR
    return replace(entry, state=state, due_at=None, error=storable(outcome.error or ""), error_code=code)
