"""What the loss of an index does to the ledger: every document that was in it is written again. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from winnow.catalog.rules.entries import CANCELLED, Entry, is_leased
from winnow.catalog.rules.submissions import Order, queued


@dataclass(frozen=True, slots=True)
class RebuildPlan:
    """What happens to some documents of a lost index.

    Attributes:
        queued: those that are written again, for the order's job.
        fenced: those that wait for other jobs, or for nothing, and change all the same.
    """

    queued: tuple[Entry, ...]
    fenced: tuple[Entry, ...]


def plan_rebuild(entries: Iterable[Entry], order: Order) -> RebuildPlan:
    """Decide about documents of a collection whose serving index is lost."""
    again: list[Entry] = []
    fenced: list[Entry] = []
    for entry in entries:
        match entry.state:
            case "deleting":
                continue
            case "pending":  # its work writes it whole, unless a worker has written a part to the index that is gone
                if is_leased(entry, order.now):
                    fenced.append(replace(entry, revision=entry.revision + 1))
            case "failed" if entry.indexed_revision is None:
                continue
            case "failed" if entry.error_code == CANCELLED:
                fenced.append(replace(entry, token=entry.token + 1, indexed_revision=None, n_chunks=0, built=None))
            case "indexed" | "failed":
                revision = entry.revision + 1  # a worker that writes it now is refused at its commit
                again.append(replace(queued(entry, order), state="pending", revision=revision, built=None))
    return RebuildPlan(tuple(again), tuple(fenced))
