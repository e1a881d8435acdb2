"""Fusion of the two arms into one list, by the sum of standardised scores. Pure.

Each arm's scores become z-scores over the candidates of the search, which are then added. Unlike ranks they keep the
distance between the best hit and the next: a word that only one chunk contains outweighs many chunks of about the same
similarity. ``docs/decisions/0003-fusion.md`` compares it with reciprocal rank fusion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from winnow.core.exact import Level
from winnow.core.search import ArmScore, ArmWeights, Candidate
from winnow.ports import ArmHits, Hit

_REVISION: Final = attrgetter("document_id", "revision")
_FLAT: Final = 1e-6  # an arm whose scores spread less than this does not tell candidates apart


class Fused(NamedTuple):
    """The candidates that are used, best first, and how many there are in all."""

    candidates: list[Candidate]
    found: int


def fuse(
    hits: ArmHits,
    *,
    dense_weight: float,
    limit: int,
    by_document: bool,
    used: int | None = None,
    weights: ArmWeights | None = None,
) -> Fused:
    """Fuse what both arms found into candidates, best first; ties by point id.

    The fused score is ``1 / (1 + exp(-(dense_weight * z(cosine) + z(BM25))))``: in (0, 1), 0.5 for an average
    candidate, comparable within one search only. Of a document that is found in two revisions only the newest one is
    kept. What the query names (``hits.named``) comes first, the most exact level before others; no score and no rank
    changes for it.

    Args:
        hits: of the arms, each best first.
        dense_weight: weight of the dense arm, in [0, 1]: the share of the query that the embedder knows. At 0 its
            hits are left out.
        limit: the largest number of candidates.
        by_document: whether only the best chunk of each document becomes a candidate.
        used: the number of candidates that are read and returned, all by default; the others are counted.
        weights: of both arms, scaled to a sum of 2, on top of ``dense_weight``; ``None``: 1 each.
    """
    newest = _newest_revisions(hits)
    dense = _Arm(hits.dense if dense_weight > 0 else (), newest)
    sparse = _Arm(hits.sparse, newest)
    named = _Arm(hits.named, newest)
    points = named.points | dense.points | sparse.points
    compared = sorted(dense.points.keys() | sparse.points.keys())
    ids = [*compared, *sorted(named.points.keys() - dense.points.keys() - sparse.points.keys())]
    fused = 1 / (1 + np.exp(-_total(dense, sparse, ids, len(compared), dense_weight=dense_weight, weights=weights)))
    scores = fused.tolist()
    order = np.argsort(-fused, kind="stable").tolist()  # ids are sorted, so a stable sort leaves ties in their order
    levels = [named.level(each) for each in ids] if named.points else []
    if levels:
        order.sort(key=lambda i: -levels[i])
    best = _best_of_each([points[ids[i]].document_id for i in order], order, limit) if by_document else order[:limit]
    ranks = {i: rank for rank, i in enumerate(sorted(best, key=lambda i: -scores[i]) if levels else best, 1)}
    candidates = [
        Candidate(
            id_,
            (point := points[id_].read()).document_id,
            point.revision,
            point.chunk,
            point.title,
            point.url,
            point.metadata,
            dense.place(id_),
            sparse.place(id_),
            ArmScore(ranks[i], scores[i]),
            levels[i] if levels else Level.NONE,
        )
        for i in best[:used]
        for id_ in (ids[i],)
    ]
    return Fused(candidates, len(best))


def _total(
    dense: _Arm, sparse: _Arm, ids: Sequence[str], compared: int, *, dense_weight: float, weights: ArmWeights | None
) -> npt.NDArray[np.float64]:
    """The weighted sum of both arms' z-scores, shape (len(ids),)."""
    # an arm that found less than the other one was not cut off by the limit: what it did not find has no word in common
    no_match = 0.0 if len(sparse.points) < len(dense.points) else None
    by_meaning = dense_weight * dense.standardised(ids, compared)
    by_words = sparse.standardised(ids, compared, absent=no_match)
    if weights is not None:
        both = weights.dense + weights.sparse
        by_meaning, by_words = 2 * weights.dense / both * by_meaning, 2 * weights.sparse / both * by_words
    return by_meaning + by_words


def _best_of_each(documents: Sequence[str], order: Sequence[int], limit: int) -> list[int]:
    """The first of ``order`` for each of the documents in the same places, at most ``limit``."""
    first = dict(zip(reversed(documents), reversed(order), strict=True))  # of equal keys the last value stays
    return [first[document] for document in islice(dict.fromkeys(documents), limit)]


class _Arm:
    """One arm's hits, best first, by point id; those of superseded revisions left out."""

    def __init__(self, hits: Sequence[Hit], newest: Mapping[str, int] | None) -> None:
        if newest is not None:
            hits = [hit for hit in hits if hit.point.revision == newest[hit.point.document_id]]
        self.points = {hit.point.id: hit.point for hit in hits}
        self._scores = [hit.score for hit in hits]
        self._places = dict(zip(self.points, range(len(hits)), strict=True))

    def place(self, point_id: str) -> ArmScore | None:
        """Rank and score of a point; ``None`` where this arm did not find it."""
        place = self._places.get(point_id)
        return None if place is None else ArmScore(place + 1, self._scores[place])

    def level(self, point_id: str) -> int:
        """On the arm of names: how exactly the query names a point."""
        place = self._places.get(point_id)
        return Level.NONE if place is None else int(self._scores[place])

    def standardised(self, ids: Sequence[str], compared: int, absent: float | None = None) -> npt.NDArray[np.float64]:
        """z-scores over the first ``compared``, shape (len(ids),). What was not found counts as ``absent``, or as the
        worst hit.
        """
        if not self._scores:
            return np.zeros(len(ids))
        found = np.array([*self._scores, min(self._scores) if absent is None else absent])
        last = len(self._scores)
        scores = found[[self._places.get(each, last) for each in ids]]
        mean = scores[:compared].mean()
        spread = float(scores[:compared].std(mean=mean))
        return (scores - mean) / spread if spread > _FLAT else np.zeros(len(ids))


def _newest_revisions(hits: ArmHits) -> dict[str, int] | None:
    """The newest revision of each document; ``None`` where no document was found in two."""
    found = {_REVISION(hit.point) for hit in (*hits.dense, *hits.sparse, *hits.named)}
    newest: dict[str, int] = {}
    for document, revision in found:
        if revision > newest.get(document, -1):
            newest[document] = revision
    return None if len(newest) == len(found) else newest
