"""The record of an index that was lost and is filled again, and the refusal of searches meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Rebuild:
    """An index that is filled again from the catalog's documents.

    Attributes:
        generation: number of the index.
        job_id: the job that writes the documents again.
        since: when the loss was noticed.
        queued_to: id of the last document that was queued, "" before the first; ``None`` once all are.
    """

    generation: int
    job_id: str
    since: datetime
    queued_to: str | None = ""


@dataclass(frozen=True, slots=True)
class RebuildProgress:
    """Documents of a rebuild that are done (written, failed, deleted or changed since), and all of them."""

    done: int
    total: int
