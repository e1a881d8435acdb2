"""A look at the scores of a reranker before they order anything."""

from __future__ import annotations

from winnow.core.errors import UpstreamRejected
from winnow.core.types import FloatArray


def sound_scores(scores: FloatArray, count: int, provider: str) -> list[float]:
    """The scores of ``count`` texts, in their order.

    Raises:
        UpstreamRejected: of another shape than (count,), or one is not in [0, 1].
    """
    if scores.shape != (count,):
        raise UpstreamRejected(f"reranker {provider} returned scores of shape {scores.shape} for {count} candidates")
    found: list[float] = scores.tolist()
    if not all(0 <= score <= 1 for score in found):  # NaN is neither
        raise UpstreamRejected(f"reranker {provider} returned scores outside [0, 1]")
    return found
