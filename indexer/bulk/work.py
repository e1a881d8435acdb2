"""What travels through the plan: a batch of work a row, and at the end what became of it."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from indexer.worker.batches import Batch, Slice
from winnow.core.types import Document
from winnow.ports import Claim, Outcome

COLUMN: Final = "work"


@dataclass(frozen=True, slots=True)
class Work:
    """A batch on its way from one stage to the next.

    Attributes:
        number: names it at the coordinator.
        batch: its claims, cut.
        slices: what is to be written for them; the embedding stage fills in the vectors that are missing.
        lost: a process died with it in hand; nothing of it is to be written.
    """

    number: str
    batch: Batch
    slices: tuple[Slice, ...]
    lost: bool = False

    @property
    def lacks_vectors(self) -> bool:
        return any(row.vectors is None for part in self.slices for row in part.rows)

    def only(self, document_ids: Collection[str]) -> Work:
        """The same for these documents alone."""
        slices = (part.only(document_ids) for part in self.slices)
        return replace(self, batch=self.batch.only(document_ids), slices=tuple(part for part in slices if part.rows))

    def failing(self, error: Exception) -> Work:
        """The same with this error for every document that was to be written."""
        return replace(self, batch=self.batch.failing(error), slices=())


def packed(items: Sequence[object]) -> Any:
    """Items as a table for Ray Data: pickled, one a row."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import, and not for the command itself

    rows = [pickle.dumps(item, protocol=pickle.HIGHEST_PROTOCOL) for item in items]
    return pa.table({COLUMN: pa.array(rows, pa.large_binary())})


def unpacked(table: Any) -> list[Any]:
    """The items of a table that ``packed`` has made."""
    return [pickle.loads(row.as_buffer()) for row in table[COLUMN]]  # noqa: S301 - written by our own stages


def slim(claim: Claim) -> Claim:
    """A claim without its text: what leases and reports need."""
    return replace(claim, document=Document(claim.document.id, ""), previous=())


def reported(outcome: Outcome) -> Outcome:
    """An outcome as the driver is told of it."""
    return replace(outcome, claim=slim(outcome.claim), chunks=())
