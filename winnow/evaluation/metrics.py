"""Metrics of rankings, query by query, with trec_eval's formulas (through ``ir-measures``), and their intervals.

Intervals are those of the percentile bootstrap over queries: Efron and Tibshirani, An Introduction to the Bootstrap
(1993), chapter 13; for retrieval metrics Sakai, Evaluating Evaluation Metrics Based on the Bootstrap (SIGIR 2006).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from winnow.core.errors import InvalidSettings
from winnow.core.types import FloatArray
from winnow.evaluation.dataset import Judgments

NDCG: Final = "ndcg@10"
RECALL: Final = "recall@100"
MRR: Final = "mrr@10"
METRICS: Final = (NDCG, RECALL, MRR)
DEPTH: Final = 100
"""How many documents of a ranking the metrics look at."""

Rankings = Mapping[str, Sequence[str]]
"""Query id -> document ids, best first."""

_RECIPROCAL_DEPTH: Final = 10
_SEED: Final = 20250101
_RESAMPLES: Final = 5000
_BATCH: Final = 250  # bounds the memory: a batch of weights is 8 × _BATCH × queries bytes


def require_metrics() -> Any:
    """The module ``ir_measures``.

    Raises:
        InvalidSettings: it is not installed; the message says how to install it.
    """
    try:
        import ir_measures  # noqa: PLC0415 - an extra, for the sake of SciPy
    except ImportError as error:
        raise InvalidSettings("metrics need ir-measures: pip install 'winnow-search[eval]'") from error
    return ir_measures


def score_rankings(rankings: Rankings, judgments: Judgments) -> dict[str, FloatArray]:
    """Score every judged query.

    Returns:
        metric -> array of shape (queries,), in the order of ``judgments``, each value in [0, 1]. A query without an
        answer scores 0.

    Raises:
        InvalidSettings: as ``require_metrics``.
    """
    measures = require_metrics()
    position = {query: index for index, query in enumerate(judgments)}
    scores = {metric: np.zeros(len(position), dtype=np.float32) for metric in METRICS}
    qrels = [
        measures.Qrel(query, document, grade)
        for query, grades in judgments.items()
        for document, grade in grades.items()
    ]
    # trec_eval knows no depth for the reciprocal rank, so the run is cut instead.
    passes: tuple[tuple[dict[Any, str], int], ...] = (
        ({measures.nDCG @ 10: NDCG, measures.R @ DEPTH: RECALL}, DEPTH),
        ({measures.RR: MRR}, _RECIPROCAL_DEPTH),
    )
    for names, depth in passes:
        run = [measures.ScoredDoc(*row) for row in _as_run(rankings, depth)]
        for item in measures.pytrec_eval.iter_calc(list(names), qrels, run):
            scores[names[item.measure]][position[item.query_id]] = item.value
    return scores


def _as_run(rankings: Rankings, depth: int) -> Iterator[tuple[str, str, float]]:
    # trec_eval sorts by score, so each rank gets a score of its own and the order stays as answered.
    for query, documents in rankings.items():
        for rank, document in enumerate(documents[:depth]):
            yield query, document, float(depth - rank)


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """A mean over queries and the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float


def estimate_mean(values: FloatArray) -> MeanEstimate:
    """Mean of ``values``, shape (queries,), with its interval; the same values give the same interval.

    For a paired comparison pass the differences, query by query.
    """
    exact = values.astype(np.float64)
    means = np.concatenate([weights @ exact for weights in _weights(len(values))])
    low, high = np.percentile(means, (2.5, 97.5))
    return MeanEstimate(float(exact.mean()), float(low), float(high))


def _weights(queries: int) -> Iterator[npt.NDArray[np.float64]]:
    # Drawing n queries with replacement equals drawing how often each one is taken.
    generator = np.random.default_rng(_SEED)
    shares = np.full(queries, 1 / queries)
    for _ in range(_RESAMPLES // _BATCH):
        yield generator.multinomial(queries, shares, size=_BATCH) / queries
