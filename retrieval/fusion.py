"""Two arms into one list: standardised scores, added. Pure.

Each arm's scores become z-scores over the candidates of the search (how many standard deviations a candidate stands
above the average one), and the two are added. Unlike ranks they keep how far the best hit is ahead: a word that only
one chunk contains outweighs a crowd of chunks that are all about as similar. Measured against reciprocal rank fusion
in ``docs/decisions/0003-fusion.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from retrieval.ports import ArmHits, Hit, Point
from retrieval.types import ArmScore, Candidate

_FLAT: Final = 1e-6  # scores that differ by less are the same score: an arm that cannot tell has no say


def fuse(hits: ArmHits, *, dense_weight: float, limit: int, by_document: bool) -> list[Candidate]:
    """Fuse what both arms found into candidates, best first; ties by point id.

    The fused score is ``1 / (1 + exp(-(dense_weight * z(cosine) + z(BM25))))``: in (0, 1), 0.5 for an average
    candidate, comparable within one search only. Of a document that is found in two revisions only the newest one is
    kept.

    Args:
        hits: both arms, each best first.
        dense_weight: weight of the dense arm, in [0, 1]: the share of the query that the embedder knows. At 0 its
            hits are left out.
        limit: how many candidates are made.
        by_document: whether only the best chunk of each document becomes a candidate.
    """
    newest = _newest_revisions(hits)
    dense = _ranked(hits.dense if dense_weight > 0 else (), newest)
    sparse = _ranked(hits.sparse, newest)
    points = {hit.point.id: hit.point for hit in (*hits.dense, *hits.sparse)}
    ids = sorted(dense.keys() | sparse.keys())
    # An arm that found less than the other one was not cut off by the limit: without a hit there is no word in common.
    no_match = 0.0 if len(sparse) < len(dense) else None
    total = dense_weight * _standardised(dense, ids) + _standardised(sparse, ids, absent=no_match)
    scores = 1 / (1 + np.exp(-total))
    order = np.argsort(-scores, kind="stable").tolist()  # ids are sorted, so a stable sort leaves ties in their order
    if by_document:
        first: dict[str, int] = {}
        for i in order:
            first.setdefault(points[ids[i]].document_id, i)
        order = list(first.values())
    return [
        _candidate(points[ids[i]], dense.get(ids[i]), sparse.get(ids[i]), ArmScore(rank, float(scores[i])))
        for rank, i in enumerate(order[:limit], 1)
    ]


def _newest_revisions(hits: ArmHits) -> dict[str, int]:
    newest: dict[str, int] = {}
    for hit in (*hits.dense, *hits.sparse):
        point = hit.point
        if point.revision > newest.get(point.document_id, -1):
            newest[point.document_id] = point.revision
    return newest


def _ranked(hits: Sequence[Hit], newest: Mapping[str, int]) -> dict[str, ArmScore]:
    """Rank and score by point id, hits of superseded revisions left out."""
    current = (hit for hit in hits if hit.point.revision == newest[hit.point.document_id])
    return {hit.point.id: ArmScore(rank, hit.score) for rank, hit in enumerate(current, 1)}


def _standardised(
    arm: Mapping[str, ArmScore], ids: Sequence[str], absent: float | None = None
) -> npt.NDArray[np.float64]:
    """z-scores of one arm, shape (len(ids),). What it did not find counts as ``absent``, or as its worst hit."""
    if not arm:
        return np.zeros(len(ids))
    missing = min(found.score for found in arm.values()) if absent is None else absent
    scores = np.array([arm[i].score if i in arm else missing for i in ids], dtype=np.float64)
    spread = float(scores.std())
    return (scores - scores.mean()) / spread if spread > _FLAT else np.zeros(len(ids))


def _candidate(point: Point, dense: ArmScore | None, sparse: ArmScore | None, fused: ArmScore) -> Candidate:
    return Candidate(
        point_id=point.id,
        document_id=point.document_id,
        revision=point.revision,
        chunk=point.chunk,
        title=point.title,
        url=point.url,
        metadata=point.metadata,
        dense=dense,
        sparse=sparse,
        fused=fused,
    )
