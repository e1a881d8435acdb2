"""Fitting a calibration: from judged answers to the probability that the first result is right, and how far it holds.

- The map is a logistic regression (Newton's method, a small ridge) on standardised features; a feature whose weight
  would be negative is left out, so that the map grows with each of them.
- Its error is measured by cross-validation: expected calibration error over ten bins of equal size (Naeini et al.,
  AAAI 2015) and the area under the ROC curve, each with the interval of the bootstrap over queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from winnow.core.calibration import FEATURES, Sight, features_of
from winnow.core.errors import InvalidSource

Array = npt.NDArray[np.float64]

LEAST_OF_EACH: Final = 10  # right and wrong answers
FOLDS: Final = 10
BINS: Final = 10
_RIDGE: Final = 1.0  # on standardised weights
_LEAST_SPREAD: Final = 0.1  # of a feature: one that hardly varies must not get a weight that decides elsewhere
_STEPS: Final = 50
_RESAMPLES: Final = 1000
_SEED: Final = 20261128


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """What an answer shows of its first result, and whether that is right."""

    sight: Sight
    right: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FittedCalibration:
    """The parameters on the features' own scales, and the error on answers that were held out.

    Attributes:
        ece: expected calibration error, in [0, 1].
        auroc: area under the ROC curve, in [0, 1].
        right: share of the answers that are right.
    """

    weights: Mapping[str, float]
    intercept: float
    ece: Figure
    auroc: Figure
    answers: int
    right: float


def fit_calibration(answers: Sequence[JudgedAnswer]) -> FittedCalibration:
    """Fit on all answers; measure by cross-validation.

    Raises:
        InvalidSource: too few answers are right, or too few are wrong.
    """
    features = np.array([features_of(answer.sight) for answer in answers], dtype=np.float64).reshape(-1, len(FEATURES))
    right = np.array([answer.right for answer in answers], dtype=np.float64)
    least = int(min(right.sum(), len(right) - right.sum()))
    if least < LEAST_OF_EACH:
        raise InvalidSource(
            f"{int(right.sum())} of {len(right)} first results are right: a calibration needs {LEAST_OF_EACH} right and"
            " "
            f"{LEAST_OF_EACH} wrong ones; add queries, also such as have no answer (unanswerable.jsonl)"
        )
    weights, intercept = _fit(features, right)
    held_out = _held_out(features, right)
    return FittedCalibration(
        {name: float(weight) for name, weight in zip(FEATURES, weights, strict=True) if weight > 0},
        intercept,
        _figure(calibration_error, held_out, right),
        _figure(area_under_roc, held_out, right),
        len(right),
        float(right.mean()),
    )


def calibration_error(probabilities: Array, right: Array) -> float:
    """Mean distance of the mean probability from the share that is right, over bins of equal size."""
    order = np.argsort(probabilities, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    gaps = [abs(probabilities[part].mean() - right[part].mean()) * len(part) for part in bins]
    return float(sum(gaps) / len(right))


def area_under_roc(probabilities: Array, right: Array) -> float:
    """The probability that a right answer has a higher one than a wrong answer; ties count half. 0.5 without either."""
    good, bad = probabilities[right > 0], probabilities[right == 0]
    if not len(good) or not len(bad):
        return 0.5
    below = np.searchsorted(np.sort(bad), good, "left")
    upto = np.searchsorted(np.sort(bad), good, "right")
    return float((below + upto).sum() / (2 * len(good) * len(bad)))


def _fit(features: Array, right: Array) -> tuple[Array, float]:
    mean, spread = features.mean(axis=0), features.std(axis=0)
    used = np.flatnonzero(spread > 0)
    spread = np.maximum(spread, _LEAST_SPREAD)
    weights = np.zeros(features.shape[1])
    while True:
        scaled = (features[:, used] - mean[used]) / spread[used]
        found = _logistic(np.column_stack([np.ones(len(right)), scaled]), right)
        if (found[1:] >= 0).all():
            break
        used = used[found[1:] >= 0]
    weights[used] = found[1:] / spread[used]
    return weights, float(found[0] - weights @ mean)


def _logistic(columns: Array, right: Array) -> Array:
    """Weights of the columns, the first of which is 1 and carries no ridge."""
    weights = np.zeros(columns.shape[1])
    ridge = _RIDGE * np.eye(len(weights))
    ridge[0, 0] = 1e-9
    for _ in range(_STEPS):
        probability = _sigmoid(columns @ weights)
        slope = columns.T @ (probability - right) + ridge @ weights
        curve = (columns.T * (probability * (1 - probability))) @ columns + ridge
        step = np.linalg.solve(curve, slope)
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def _held_out(features: Array, right: Array) -> Array:
    """The probability of each answer by a map that was fitted without it, and without a tenth of the others."""
    order = np.random.default_rng(_SEED).permutation(len(right))
    probabilities = np.zeros(len(right))
    for part in np.array_split(order, FOLDS):
        others = np.setdiff1d(order, part)
        weights, intercept = _fit(features[others], right[others])
        probabilities[part] = _sigmoid(features[part] @ weights + intercept)
    return probabilities


def _figure(measure: Callable[[Array, Array], float], probabilities: Array, right: Array) -> Figure:
    generator = np.random.default_rng(_SEED)
    picks = (generator.integers(0, len(right), len(right)) for _ in range(_RESAMPLES))
    low, high = np.percentile([measure(probabilities[pick], right[pick]) for pick in picks], (2.5, 97.5))
    return Figure(measure(probabilities, right), float(low), float(high))


def _sigmoid(logits: Array) -> Array:
    result: Array = (1 + np.tanh(logits / 2)) / 2
    return result
