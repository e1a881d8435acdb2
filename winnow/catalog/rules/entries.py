"""What happens to a document's entry in the ledger: pure functions.

::

    submit ──► pending ──commit──► indexed        tombstone ──► deleting ──commit──► (a removal)
                 ▲  └────commit with an error──► failed
                 └── submit of a changed, failed or deleted document: revision + 1

Every claim and every commit raises ``token``: whoever comes with an older one has been overtaken. A document that is
changed or deleted while a worker processes it gets a new revision, and stays with that worker while its lease holds:
the worker's commit is refused and hands the document on. So two workers never write a document's points at once, unless
a lease has run out (``docs/decisions/0012-stalled-workers.md``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from winnow.core.text import encodable
from winnow.core.types import DocumentState
from winnow.ports import Outcome

Ending = Literal["indexed", "deleted", "failed", "superseded"]

UNNAMED_ERROR: Final = "internal_error"
CANCELLED: Final = "cancelled"
SETTLING: Final = timedelta(minutes=10)  # after a deletion: longer than a write of a stalled worker is under way
REEMBED_PRIORITY: Final = -10


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger knows of one document; content and chunks are kept beside it.

    Attributes:
        token: fencing token; starts at the clock's microseconds, so that a document which was deleted and
            comes back starts beyond every token it ever had.
        due_at: from when on its work may be claimed: its submission, the end of a lease or of a pause;
            ``None`` where nothing is to be done.
        lease_owner: who works on it, until ``due_at``.
        submitted_at: since when it waits; the oldest is served first.
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
    """What an outcome does: the entry afterwards (``None``: the row goes), and what its job counts.

    ``recorded`` is false where the outcome counts for nothing, but its worker hands the document on.
    """

    entry: Entry | None
    ending: Ending | None
    recorded: bool = True


def is_leased(entry: Entry, now: datetime) -> bool:
    """Tell whether a worker is processing the document."""
    return entry.lease_owner is not None and entry.due_at is not None and entry.due_at > now


def holds(entry: Entry | None, token: int, owner: str, now: datetime) -> bool:
    """Tell whether ``owner`` still has the lease that it got with ``token``."""
    if entry is None or entry.due_at is None:
        return False
    return entry.token == token and entry.lease_owner == owner and entry.due_at > now


def was_tried(attempts: int, submitted_at: datetime, updated_at: datetime) -> bool:
    """Tell whether a worker has processed this revision before: waiting counts as no attempt, but it is recorded."""
    return attempts > 0 or updated_at > submitted_at


def kind_of(state: DocumentState) -> Literal["index", "delete", "reembed"]:
    """What the work on a document of this state is."""
    return "delete" if state == "deleting" else "reembed" if state == "indexed" else "index"


def settle(entry: Entry | None, outcome: Outcome, now: datetime, *, newer: int | None = None) -> Settlement | None:
    """Apply an outcome, or return ``None`` where its token or revision has moved on.

    ``newer`` is the collection's ``newer_generation``: a document whose batch did not know of that pair of indexes has
    the re-embedding before it.
    """
    claim = outcome.claim
    if entry is None or entry.due_at is None or entry.token != claim.token:
        return None
    if entry.revision != claim.revision:  # changed or deleted while it was in hand
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


def lacks(entry: Entry, newer: int | None) -> bool:
    """Tell whether a switch would lose the document. One whose newest revision failed cannot be brought over."""
    at_stake = entry.indexed_revision is not None and entry.state in {"indexed", "pending"}
    return newer is not None and at_stake and entry.built != newer


def queued_to_reembed(entry: Entry, now: datetime) -> Entry:
    """The entry with the re-embedding before it, behind all other work."""
    return replace(entry, due_at=now, submitted_at=now, priority=REEMBED_PRIORITY, attempts=0, lease_owner=None)


def _with_second_index(entry: Entry, newer: int | None, now: datetime) -> Entry:
    return queued_to_reembed(entry, now) if lacks(entry, newer) else entry


def _reembedded(entry: Entry, outcome: Outcome, newer: int | None) -> Entry:
    if outcome.error is not None:
        code = outcome.error_code or UNNAMED_ERROR
        return replace(entry, due_at=None, attempts=0, error=_storable_text(outcome.error), error_code=code)
    rested = replace(entry, due_at=None, attempts=0, built=outcome.built, error=None, error_code=None)
    return _with_second_index(rested, newer, entry.updated_at)


def _failed(entry: Entry, outcome: Outcome) -> Entry:
    # a deletion that failed stays hidden: what a user deleted never comes back by itself
    state: DocumentState = "deleting" if entry.state == "deleting" else "failed"
    code = outcome.error_code or UNNAMED_ERROR
    return replace(entry, state=state, due_at=None, error=_storable_text(outcome.error or ""), error_code=code)


def _storable_text(message: str) -> str:
    # messages quote what they failed on: PostgreSQL takes neither U+0000 nor half a character
    return encodable(message.replace("\0", ""))
