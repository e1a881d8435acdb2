"""How probable it is that a visitor looks at a rank, and how relevant a result is to those who look at it.

- **Position-based model** (Craswell et al., WSDM 2008): a result is clicked if it is looked at and found relevant;
  whether it is looked at depends on its rank alone. The probability of a look, relative to rank 1, is the rank's
  *propensity*.
- **Propensities by intervention harvesting** (Agarwal et al., WSDM 2019): where a result of a query was shown at
  several ranks, its relevance was the same at each, so that its rates of clicks differ by the propensities alone. The
  likelihood is that of Poisson counts given their sum, in which relevance cancels out; the MM algorithm of Hunter
  (Annals of Statistics 2004) maximises it. ``PRIOR_CLICKS`` imagined clicks follow 1 / rank, the model of Joachims et
  al. (WSDM 2017), which holds as far as the log says nothing.
- **Inverse propensity weighting**: the relevance of a result is its clicks over its expected looks, the sum of the
  propensities at which it was shown. Of a result of one rank that is its rate of clicks divided by the propensity.

Not corrected: clicks on a first rank out of trust in the search, and results that were never shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

METHOD: Final = "inverse propensity weighting; position-based model, intervention harvesting with 1/rank as prior"
PRIOR_CLICKS: Final = 30.0
_LUCK: Final = 1.0  # looks without a click that each result is given, so that one lucky click is no proof
_STEPS: Final = 2000
_CLOSE: Final = 1e-9


class Shown(NamedTuple):
    """How often a result of a query was shown at a rank, and clicked there; by distinct visitors."""

    shown: int
    clicked: int


Showings = Mapping[int, Shown]
"""Of one result of one query, by rank from 1."""


@dataclass(frozen=True, slots=True)
class PositionBias:
    """How probable a look at each rank is, relative to rank 1.

    Attributes:
        propensities: by rank from 1; the first is 1.
        clicks: the clicks that they were estimated from; with 0 they are 1 / rank, an assumption.
        results: the results with these clicks, each shown at several ranks.
    """

    propensities: tuple[float, ...]
    clicks: int
    results: int

    def relevance(self, showings: Showings) -> float:
        """The probability of a click on a result by a visitor who looks at it, relative to a look at rank 1; ≤ 1."""
        looks = sum(self.propensities[rank - 1] * each.shown for rank, each in showings.items())
        return min(1.0, sum(each.clicked for each in showings.values()) / (looks + _LUCK))


def estimate_bias(results: Sequence[Showings]) -> PositionBias:
    """The propensities of every rank that ``results`` were shown at, the same for the same showings."""
    ranks = max((rank for showings in results for rank in showings), default=1)
    moved = [each for each in results if len(each) > 1 and any(shown.clicked for shown in each.values())]
    rows = [(at, rank - 1, *shown) for at, each in enumerate(moved) for rank, shown in each.items()]
    pair, rank, shown, clicked = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    prior = 1 / np.arange(1, ranks + 1)
    clicks_of_rank = np.bincount(rank, clicked, ranks) + PRIOR_CLICKS * prior / prior.sum()
    clicks_of_pair = np.bincount(pair, clicked, len(moved))
    propensities = prior
    for _ in range(_STEPS):
        relevance = clicks_of_pair / np.bincount(pair, shown * propensities[rank], len(moved))
        looks = np.bincount(rank, shown * relevance[pair], ranks) + PRIOR_CLICKS / propensities.sum()
        before, propensities = propensities, clicks_of_rank / looks
        propensities = propensities / propensities[0]
        if np.abs(propensities - before).max() < _CLOSE:
            break
    return PositionBias(tuple(propensities.tolist()), int(clicked.sum()), len(moved))
