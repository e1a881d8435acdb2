"""Fusion of the two arms into one list, by the sum of standardised scores. Pure.

Each arm's scores become z-scores over the candidates of the search, which are then added. Unlike ranks they keep the
distance between the best hit and the next: a word that only one chunk contains outweighs many chunks of about the same
similarity. ``docs/decisions/0003-fusion.md`` compares it with reciprocal rank fusion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from winnow.core.types import ArmScore, Candidate
from winnow.ports import ArmHits, Hit

_FLAT: Final = 1e-6  # an arm whose scores spread less than this does not tell candidates apart


def fuse(hits: ArmHits, *, dense_weight: float, limit: int, by_document: bool) -> list[Candidate]:
    """Fuse what both arms found into candidates, best first; ties by point id.

    The fused score is ``1 / (1 + exp(-(dense_weight * z(cosine) + z(BM25))))``: in (0, 1), 0.5 for an average
    candidate, comparable within one search only. Of a document that is found in two revisions only the newest one is
    kept.

    Args:
        hits: both arms, each best first.
        dense_weight: weight of the dense arm, in [0, 1]: the share of the query that the embedder knows. At 0 its
            hits are left out.
        limit: the largest number of candidates.
        by_document: whether only the best chunk of each document becomes a candidate.
    """
    newest = _newest_revisions(hits)
    dense = _Arm(hits.dense if dense_weight > 0 else (), newest)
    sparse = _Arm(hits.sparse, newest)
    points = dense.points | sparse.points
    ids = sorted(points)
    # an arm that found less than the other one was not cut off by the limit: what it did not find has no word in common
    no_match = 0.0 if len(sparse.points) < len(dense.points) else None
    total = dense_weight * dense.standardised(ids) + sparse.standardised(ids, absent=no_match)
    fused = 1 / (1 + np.exp(-total))
    scores = fused.tolist()
    order = np.argsort(-fused, kind="stable").tolist()  # ids are sorted, so a stable sort leaves ties in their order
    if by_document:
        first: dict[str, int] = {}
        for i in order:
            first.setdefault(points[ids[i]].document_id, i)
        order = list(first.values())
    return [
        Candidate(
            point_id=point.id,
            document_id=point.document_id,
            revision=point.revision,
            chunk=point.chunk,
            title=point.title,
            url=point.url,
            metadata=point.metadata,
            dense=dense.place(point.id),
            sparse=sparse.place(point.id),
            fused=ArmScore(rank, scores[i]),
        )
        for rank, i in enumerate(order[:limit], 1)
        for point in [points[ids[i]].read()]
    ]


class _Arm:
    """One arm's hits, best first, by point id; those of superseded revisions left out."""

    def __init__(self, hits: Sequence[Hit], newest: Mapping[str, int]) -> None:
        self._hits = [hit for hit in hits if hit.point.revision == newest[hit.point.document_id]]
        self.points = {hit.point.id: hit.point for hit in self._hits}
        self._ranks = {point_id: rank for rank, point_id in enumerate(self.points, 1)}

    def place(self, point_id: str) -> ArmScore | None:
        """Rank and score of a point; ``None`` where this arm did not find it."""
        rank = self._ranks.get(point_id)
        return None if rank is None else ArmScore(rank, self._hits[rank - 1].score)

    def standardised(self, ids: Sequence[str], absent: float | None = None) -> npt.NDArray[np.float64]:
        """z-scores, shape (len(ids),). What was not found counts as ``absent``, or as the worst hit."""
        if not self._hits:
            return np.zeros(len(ids))
        found = [hit.score for hit in self._hits]
        found.append(min(found) if absent is None else absent)
        last = len(found)
        scores = np.array(found)[[self._ranks.get(i, last) - 1 for i in ids]]
        spread = float(scores.std())
        return (scores - scores.mean()) / spread if spread > _FLAT else np.zeros(len(ids))


def _newest_revisions(hits: ArmHits) -> dict[str, int]:
    newest: dict[str, int] = {}
    for hit in (*hits.dense, *hits.sparse):
        point = hit.point
        if point.revision > newest.get(point.document_id, -1):
            newest[point.document_id] = point.revision
    return newest
