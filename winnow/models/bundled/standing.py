"""The distance of candidates from the others that a query finds: it lets one threshold serve many languages.

A query that has no answer still finds texts of its subject and language. Their logits differ from language to language
and from query to query, by more than an answer differs from them. So a candidate is judged by its distance from its
*background*, the mean logit of the candidates behind the best ten, as well as by its own logit. The background is one
number a query, and the slope is above 0: the order of results stays. Constants: ``docs/decisions/0043-background.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

BEST: Final = 10  # candidates that may all be answers, and are not background
FEW: Final = 5.0  # candidates behind them from which the background counts as much as the logit alone

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Standing:
    """The weights of a logit and of its distance from the background, and where an answer begins.

    Attributes:
        own: weight of the logit.
        above: weight of the distance.
        least: what both together must reach.
    """

    own: float
    above: float
    least: float

    def of(self, logits: _Array) -> _Array:
        """The logits of all candidates of a query, shape (n,), as they stand out; in the same order.

        The fewer there are, the less they change: up to ten stay what they are.
        """
        behind = np.sort(logits)[:-BEST]
        if not len(behind):
            return logits
        known = len(behind) / (len(behind) + FEW)
        standing = self.own * logits + self.above * (logits - behind.mean()) - self.least
        result: _Array = known * standing + (1 - known) * logits
        return result

    def mixed(self, other: Standing, share: float) -> Standing:
        """Between the two: this one at a ``share`` of 1, ``other`` at 0."""
        mine, theirs = ((each.own, each.above, each.least) for each in (self, other))
        return Standing(*(share * a + (1 - share) * b for a, b in zip(mine, theirs, strict=True)))


BY_WORDS: Final = Standing(own=0.97, above=0.54, least=3.92)
ENGLISH: Final = Standing(own=0.52, above=0.32, least=3.53)
MULTILINGUAL: Final = Standing(own=0.0, above=1.39, least=7.19)
