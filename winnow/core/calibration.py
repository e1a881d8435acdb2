"""The calibration of a collection's answers: from what an answer shows to the probability that it begins rightly.

A logistic function that grows with each feature (Platt 1999, with several inputs). It belongs to the models that it was
fitted with: scores of others mean something else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from winnow.core.errors import InvalidInput

FEATURES: Final = ("score", "margin", "ahead", "coverage", "dense", "sparse")
BEHIND: Final = 5  # results that the first one is compared with, from the second on
_LEAST: Final = 1e-4  # distance of a probability from 0 and 1, as its logit is taken
_WIDEST: Final = 6.0  # distance of the first result from others, in logits


class Sight(NamedTuple):
    """What an answer shows of its first result.

    Attributes:
        score: its relevance, in [0, 1].
        behind: that of the results behind it, best first, ``BEHIND`` of them at the most.
        coverage: the share of the query that the embedder knows; 1 where the query was not embedded.
        dense, sparse: its rank in each arm, from 1; ``None`` where the arm did not find it.
    """

    score: float
    behind: Sequence[float]
    coverage: float
    dense: int | None
    sparse: int | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """The parameters, and what they were fitted on.

    Attributes:
        models: the models and the tokenizer whose answers were judged.
        weights: of the features by name, none below 0; those that are missing count nothing.
        intercept: of the logit.
        threshold: the probability from which an answer is taken to be there, in (0, 1).
        calibrated_on: the questions, for people: their name, number and day.
        quality: figures of the fit by name, from cross-validation.
    """

    models: str
    weights: Mapping[str, float]
    intercept: float
    threshold: float
    calibrated_on: str
    quality: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if unknown := self.weights.keys() - set(FEATURES):
            raise InvalidInput(f"unknown feature {min(unknown)!r}; known are {', '.join(FEATURES)}")
        numbers = [self.intercept, *self.weights.values()]
        if not all(map(math.isfinite, numbers)) or min(self.weights.values(), default=0.0) < 0:
            raise InvalidInput("a calibration has finite weights, none of them below 0")
        if not 0 < self.threshold < 1:
            raise InvalidInput(f"the threshold is between 0 and 1, not {self.threshold}")

    def probability(self, sight: Sight | None) -> float:
        """The probability that the first result is right, in [0, 1]; 0 for an answer without results."""
        if sight is None:
            return 0.0
        logit = self.intercept + sum(
            self.weights.get(name, 0.0) * value for name, value in zip(FEATURES, features_of(sight), strict=True)
        )
        return (1 + math.tanh(logit / 2)) / 2

    def as_json(self) -> dict[str, Any]:
        """The form in which it is kept; ``Calibration(**…)`` reads it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Answerable:
    """Whether the collection has an answer: the probability that the first result is right, in [0, 1]."""

    probability: float
    threshold: float
    calibrated_on: str


def features_of(sight: Sight) -> Sequence[float]:
    """The features in the order of ``FEATURES``."""
    first = _logit(sight.score)
    others = [_logit(score) for score in sight.behind[:BEHIND]] or [first - _WIDEST]
    margin, ahead = (min(_WIDEST, max(0.0, first - other)) for other in (others[0], sum(others) / len(others)))
    ranks = (0.0 if rank is None else 1 / rank for rank in (sight.dense, sight.sparse))
    return (first, margin, ahead, sight.coverage, *ranks)


def _logit(score: float) -> float:
    bounded = min(max(score, _LEAST), 1 - _LEAST)
    return math.log(bounded / (1 - bounded))
