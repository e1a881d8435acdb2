"""The rows of the plan: a batch of work each, and at the end its outcomes."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from indexer.worker.batches import ClaimBatch, Slice
from winnow.core.types import Document
from winnow.ports import Claim, Outcome

COLUMN: Final = "work"


@dataclass(frozen=True, slots=True)
class Work:
    """A batch between two stages.

    Attributes:
        number: its name at the coordinator.
        batch: its claims, chunked.
        slices: points to write for them; the embedding stage fills in missing vectors.
        lost: a process died while embedding it, so that none of it may be written.
    """

    number: str
    batch: ClaimBatch
    slices: tuple[Slice, ...]
    lost: bool = False

    @property
    def lacks_vectors(self) -> bool:
        return any(row.vectors is None for part in self.slices for row in part.rows)

    def only(self, document_ids: Collection[str]) -> Work:
        """The part of the work that concerns these documents."""
        slices = (part.only(document_ids) for part in self.slices)
        return replace(self, batch=self.batch.only(document_ids), slices=tuple(part for part in slices if part.rows))

    def failing(self, error: Exception) -> Work:
        """The work with this error for every document to be written."""
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
    """A claim without its text, for leases and reports."""
    return replace(claim, document=Document(claim.document.id, ""), previous=())


def reported(outcome: Outcome) -> Outcome:
    """An outcome without texts and chunks, for the driver."""
    return replace(outcome, claim=slim(outcome.claim), chunks=())
