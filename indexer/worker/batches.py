"""A batch of claims in the write path: chunked, then given vectors, then written.

Plain data that travels between processes; the steps are those of ``Pipeline``, and of a bulk job.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection as Container
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from indexer.worker.stages import ChunkedClaims, Piece, Vectors, embed
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

    @property
    def is_unread(self) -> bool:
        """Whether the embedder does not know the text."""
        return self.vectors is not None and self.vectors.dense is None


@dataclass(frozen=True, slots=True)
class Slice:
    """Pieces for one index, in a number whose vectors fit into memory."""

    index: Index
    rows: tuple[Row, ...]

    @property
    def embedded(self) -> Counter[str]:
        """Chunks that got vectors, by document id."""
        return Counter(row.document_id for row in self.rows if row.fresh and not row.is_unread)

    @property
    def unread(self) -> Counter[str]:
        """Chunks that the embedder was given and does not know, by document id."""
        return Counter(row.document_id for row in self.rows if row.fresh and row.is_unread)

    def only(self, document_ids: Container[str]) -> Slice:
        """The rows of these documents."""
        return replace(self, rows=tuple(row for row in self.rows if row.document_id in document_ids))


@dataclass(frozen=True, slots=True)
class ClaimBatch:
    """Claims of one collection.

    Attributes:
        removals: documents to be deleted.
        chunked: documents to write, as pieces, and documents that failed.
    """

    collection: Collection
    removals: tuple[Claim, ...]
    chunked: ChunkedClaims

    @property
    def claims(self) -> Sequence[Claim]:
        return (*self.removals, *self.chunked.claims, *(claim for claim, _ in self.chunked.failures))

    def slices(self) -> Iterator[Slice]:
        """The slices to write, index by index."""
        for index in self.collection.indexes:
            todo = self._not_in_place() if index.state == "serving" else self.chunked.pieces
            for begin in range(0, len(todo), SLICE_CHUNKS):
                yield Slice(index, tuple(Row(piece) for piece in todo[begin : begin + SLICE_CHUNKS]))

    def only(self, document_ids: Container[str]) -> ClaimBatch:
        """The part of the batch that concerns these documents."""
        chunked = ChunkedClaims(
            tuple(piece for piece in self.chunked.pieces if piece.claim.document.id in document_ids),
            tuple(claim for claim in self.chunked.claims if claim.document.id in document_ids),
            tuple(each for each in self.chunked.failures if each[0].document.id in document_ids),
        )
        removals = tuple(claim for claim in self.removals if claim.document.id in document_ids)
        return replace(self, removals=removals, chunked=chunked)

    def failing(self, error: Exception) -> ClaimBatch:
        """The batch with this error for every document to be written."""
        failures = tuple((claim, error) for claim in self.chunked.claims)
        return replace(self, chunked=ChunkedClaims((), (), (*self.chunked.failures, *failures)))

    def _not_in_place(self) -> Sequence[Piece]:
        """Pieces for the serving index: none of a document that is only copied to the index beside it."""
        moved = {
            piece.claim.document.id
            for piece in self.chunked.pieces
            if piece.claim.kind != "reembed" or piece.reuse != piece.point_id
        }
        return [piece for piece in self.chunked.pieces if piece.claim.document.id in moved]


async def filled(part: Slice, embedder: Embedder) -> Slice:
    """The slice with vectors for every piece; missing ones are made."""
    lacking = [row for row in part.rows if row.vectors is None]
    made = iter(await embed(embedder, [row.piece.passage for row in lacking]))
    rows = (row if row.vectors is not None else Row(row.piece, next(made), fresh=True) for row in part.rows)
    return replace(part, rows=tuple(rows))
