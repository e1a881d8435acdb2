"""A batch of claims on its way through the write path: cut, then given vectors, then written.

Plain data that travels between processes; the steps are those of ``Pipeline``, and of a bulk job.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection as Container
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from indexer.worker.stages import Cut, Piece, Vectors, embed, point_id_of
from winnow.core.types import Collection, Index
from winnow.ports import Claim, Embedder

SLICE_CHUNKS: Final = 256  # bounds the memory of vectors in flight: token vectors take some 100 KB a chunk


@dataclass(frozen=True, slots=True)
class Row:
    """A piece with its vectors once they are there; ``fresh``: made now, not found in the index."""

    piece: Piece
    vectors: Vectors | None = None
    fresh: bool = False

    @property
    def document_id(self) -> str:
        return self.piece.claim.document.id


@dataclass(frozen=True, slots=True)
class Slice:
    """Pieces for one index, few enough that their vectors fit into memory."""

    index: Index
    rows: tuple[Row, ...]

    @property
    def embedded(self) -> Counter[str]:
        """Chunks embedded, by document id."""
        return Counter(row.document_id for row in self.rows if row.fresh)

    def only(self, document_ids: Container[str]) -> Slice:
        """The rows of these documents."""
        return replace(self, rows=tuple(row for row in self.rows if row.document_id in document_ids))


@dataclass(frozen=True, slots=True)
class Batch:
    """Claims of one collection.

    Attributes:
        removals: documents to be deleted.
        cut: documents to be written, as pieces, and those that nothing can be made of.
    """

    collection: Collection
    removals: tuple[Claim, ...]
    cut: Cut

    @property
    def claims(self) -> Sequence[Claim]:
        return (*self.removals, *self.cut.claims, *(claim for claim, _ in self.cut.failures))

    def slices(self) -> Iterator[Slice]:
        """What is to be written, index by index."""
        for index in self.collection.indexes:
            todo = self._not_in_place() if index.state == "serving" else self.cut.pieces
            for begin in range(0, len(todo), SLICE_CHUNKS):
                yield Slice(index, tuple(Row(piece) for piece in todo[begin : begin + SLICE_CHUNKS]))

    def only(self, document_ids: Container[str]) -> Batch:
        """The same for these documents alone."""
        cut = Cut(
            tuple(piece for piece in self.cut.pieces if piece.claim.document.id in document_ids),
            tuple(claim for claim in self.cut.claims if claim.document.id in document_ids),
            tuple(each for each in self.cut.failures if each[0].document.id in document_ids),
        )
        removals = tuple(claim for claim in self.removals if claim.document.id in document_ids)
        return replace(self, removals=removals, cut=cut)

    def failing(self, error: Exception) -> Batch:
        """The same with this error for every document that was to be written."""
        failures = tuple((claim, error) for claim in self.cut.claims)
        return replace(self, cut=Cut((), (), (*self.cut.failures, *failures)))

    def _not_in_place(self) -> Sequence[Piece]:
        """Pieces to be written to the serving index: not those of a document only copied to the other one."""
        moved = {
            piece.claim.document.id
            for piece in self.cut.pieces
            if piece.claim.kind != "reembed" or piece.reuse != point_id_of(self.collection, piece)
        }
        return [piece for piece in self.cut.pieces if piece.claim.document.id in moved]


async def filled(part: Slice, embedder: Embedder) -> Slice:
    """The slice with vectors for every piece: those that it lacks are made."""
    lacking = [row for row in part.rows if row.vectors is None]
    made = iter(await embed(embedder, [row.piece.passage for row in lacking]))
    rows = (row if row.vectors is not None else Row(row.piece, next(made), fresh=True) for row in part.rows)
    return replace(part, rows=tuple(rows))
