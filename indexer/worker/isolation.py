"""Isolation of documents that may have killed a worker, so that others do not fail with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winnow.ports import Claim, Outcome

SUSPICIOUS: Final = 2  # a document claimed this often without an outcome is processed alone
FATAL: Final = 4  # times ``max_attempts``: after that number of claims without an outcome, the document is at fault

WORKER_LOST: Final = "worker_lost"


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one batch.

    Attributes:
        runs: parts to carry out one after the other.
        settled: outcomes of claims that are not carried out now: put back for later, or given up.
    """

    runs: tuple[Sequence[Claim], ...]
    settled: tuple[Outcome, ...]


def isolate(claims: Sequence[Claim], *, max_attempts: int) -> Parts:
    """Split a batch: first the harmless documents together, then one that was tried before, alone.

    The rest of those waits for a claim of its own, which counts as no attempt.
    """
    harmless = [claim for claim in claims if claim.attempts < SUSPICIOUS]
    fatal = [claim for claim in claims if claim.attempts >= max_attempts * FATAL]
    tried = [claim for claim in claims if SUSPICIOUS <= claim.attempts < max_attempts * FATAL]
    later = (Outcome(claim, error="waits to be tried alone", retry_in=0.0, waited=True) for claim in tried[1:])
    settled = (*later, *(_given_up(claim) for claim in fatal))
    return Parts(tuple(part for part in (harmless, tried[:1]) if part), settled)


def _given_up(claim: Claim) -> Outcome:
    message = f"{claim.attempts} workers were lost while they processed it; their logs may say why"
    return Outcome(claim, error=message, error_code=WORKER_LOST)
