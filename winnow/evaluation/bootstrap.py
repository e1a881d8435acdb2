"""Confidence intervals by the percentile bootstrap over queries.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; for retrieval metrics Sakai,
Evaluating Evaluation Metrics Based on the Bootstrap (SIGIR 2006).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from winnow.core.types import FloatArray

RESAMPLES = 5000
SEED = 20250101
_BATCH = 250  # bounds the memory: a batch of weights is 8 × _BATCH × queries bytes


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """A mean over queries and the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float


def estimate_mean(values: FloatArray, *, resamples: int = RESAMPLES, seed: int = SEED) -> MeanEstimate:
    """Mean of ``values``, shape (queries,), with its interval; the same values give the same interval.

    For a paired comparison pass the differences, query by query.
    """
    exact = values.astype(np.float64)
    means = np.concatenate([weights @ exact for weights in _weights(len(values), resamples, seed)])
    low, high = np.percentile(means, (2.5, 97.5))
    return MeanEstimate(mean=float(exact.mean()), low=float(low), high=float(high))


def _weights(queries: int, resamples: int, seed: int) -> Iterator[npt.NDArray[np.float64]]:
    # Drawing n queries with replacement equals drawing how often each one is taken.
    generator = np.random.default_rng(seed)
    shares = np.full(queries, 1 / queries)
    for start in range(0, resamples, _BATCH):
        size = min(_BATCH, resamples - start)
        yield generator.multinomial(queries, shares, size=size) / queries
