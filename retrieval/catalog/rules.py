"""What happens to a document's entry in the ledger: pure functions that the database and the fake share.

::

    submit ──► pending ──commit──► indexed        tombstone ──► deleting ──commit──► (row gone)
                 ▲  └────commit with an error──► failed
                 └── submit of a changed, failed or deleted document: revision + 1

Every claim and every change raises ``token``: whoever comes with an older one has been overtaken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from retrieval.ports import Outcome
from retrieval.types import DocumentState

Clock = Callable[[], datetime]
Ending = Literal["indexed", "deleted", "failed", "superseded"]

UNNAMED_ERROR: Final = "internal_error"


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


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


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an outcome does: the entry afterwards (``None``: the row goes), and what its job counts."""

    entry: Entry | None
    ending: Ending | None


def holds(entry: Entry | None, token: int, owner: str, now: datetime) -> bool:
    """Tell whether ``owner`` still has the lease that it got with ``token``."""
    if entry is None or entry.due_at is None:
        return False
    return entry.token == token and entry.lease_owner == owner and entry.due_at > now


def settle(entry: Entry | None, outcome: Outcome, now: datetime) -> Settlement | None:
    """Apply an outcome, or return ``None`` where its token or revision has moved on."""
    claim = outcome.claim
    if entry is None or entry.due_at is None or (entry.token, entry.revision) != (claim.token, claim.revision):
        return None
    # the token moves with the commit, so that the same outcome is not counted twice
    rested = replace(entry, token=entry.token + 1, lease_owner=None, updated_at=now)
    if outcome.error is not None and outcome.retry_in is not None:
        return Settlement(replace(rested, due_at=now + timedelta(seconds=outcome.retry_in)), None)
    if outcome.error is not None:
        return Settlement(_failed(rested, outcome), "failed")
    if claim.kind == "delete":
        return Settlement(None, "deleted")
    done = replace(
        rested, state="indexed", due_at=None, attempts=0, indexed_revision=entry.revision, n_chunks=len(outcome.chunks)
    )
    return Settlement(done, "indexed")


def _failed(entry: Entry, outcome: Outcome) -> Entry:
    # a deletion that failed stays hidden: what a user deleted never comes back by itself
    state: DocumentState = "deleting" if entry.state == "deleting" else "failed"
    code = outcome.error_code or UNNAMED_ERROR
    return replace(entry, state=state, due_at=None, error=_storable_text(outcome.error or ""), error_code=code)


def _storable_text(message: str) -> str:
    # messages quote what they failed on: PostgreSQL takes neither U+0000 nor half a character
    return message.replace("\0", "").encode(errors="replace").decode()
