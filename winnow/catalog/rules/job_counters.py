"""The counters of jobs. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from winnow.catalog.rules.entries import Settlement
from winnow.core.text import storable
from winnow.core.types import JobStatus
from winnow.ports import Job, JobFailure, Outcome

ENDINGS: Final = ("indexed", "deleted", "failed", "superseded", "cancelled")
ADDED: Final = (*ENDINGS, "chunks_embedded", "chunks_unread")


@dataclass
class JobCounters:
    """The counters that one transaction adds, by job, and the documents that failed in it.

    Attributes:
        waits_for: why documents of a job have to wait, by its id; those of a job that is not named do not.
    """

    counters: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    failures: list[tuple[str, JobFailure]] = field(default_factory=list)
    waits_for: dict[str, str] = field(default_factory=dict)

    def supersede(self, losses: Mapping[str, int]) -> None:
        """Count documents that older jobs lose to a newer one."""
        for job_id, number in losses.items():
            self.counters[job_id]["superseded"] += number

    def cancel(self, job_id: str, number: int) -> None:
        """Count documents that a job will not index."""
        self.counters[job_id]["cancelled"] += number

    def settle(self, job_id: str, outcome: Outcome, settlement: Settlement) -> None:
        """Count the outcome of one claim. A re-embedding belongs to no job: the document's last one has ended."""
        if outcome.claim.kind == "reembed":
            return
        counter = self.counters[job_id]
        counter["chunks_embedded"] += outcome.embedded
        counter["chunks_unread"] += outcome.unread
        if settlement.ending is not None:
            counter[settlement.ending] += 1
        elif outcome.waited and outcome.error:
            self.waits_for[job_id] = storable(outcome.error)
        entry = settlement.entry
        if entry is not None and settlement.ending == "failed":
            self.failures.append((job_id, JobFailure(entry.id, entry.error_code or "", entry.error or "")))


def make_job(values: Mapping[Any, Any], failures: Sequence[JobFailure] = ()) -> Job:
    """A job from its row, which has the collection's ``name`` as well; documents that have not ended are pending."""
    ended = sum(values[name] for name in ENDINGS)
    pending = values["total"] - values["unchanged"] - ended
    status: JobStatus = "done" if pending == 0 else "running" if ended else "pending"
    return Job(
        id=values["id"],
        collection=values["name"],
        tenant=values["tenant"],
        status=status,
        total=values["total"],
        pending=pending,
        unchanged=values["unchanged"],
        failures=tuple(failures),
        created_at=values["created_at"],
        finished_at=values["finished_at"],
        waits_for=values["waits_for"] if pending else None,
        **{name: values[name] for name in ADDED},
    )
