"""Results in another order than by score. Pure.

Diversity is maximal marginal relevance (Carbonell and Goldstein 1998, https://doi.org/10.1145/290941.291025): the next
result is the one with the greatest ``(1 - w) * relevance - w * max(cosine to those before it)``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from winnow.core.facets import place_of
from winnow.core.filters import fits, values_of
from winnow.core.ordering import MaxPer, SortKey
from winnow.core.search import Result, ScoreKind
from winnow.core.types import FieldType, FloatArray


def diversified(
    results: Sequence[Result], vectors: Mapping[str, FloatArray], kind: ScoreKind, weight: float
) -> list[Result]:
    """The results by marginal relevance.

    Args:
        results: best first.
        vectors: of their chunks by point id, shape (dimensions,), length 1; one without a vector is like no other.
        kind: whether relevance is the second stage's score or the first's, boosted where the search has boosts. Where
            it is the second's, results that it did not score stay behind the others, in their order.
        weight: of diversity, in [0, 1].
    """
    scored = [each for each in results if kind == "retrieval" or each.relevance_score is not None]
    behind = [each for each in results if kind == "relevance" and each.relevance_score is None]
    if not scored:
        return behind
    size = next((len(vector) for vector in vectors.values()), 1)
    matrix = np.array([vectors.get(each.candidate.point_id, np.zeros(size)) for each in scored], np.float64)
    relevance = np.array([_relevance(each, kind) for each in scored])
    likeness, left, order = np.full(len(scored), -1.0), np.ones(len(scored), bool), []
    for number in range(len(scored)):
        gain = relevance if number == 0 else (1 - weight) * relevance - weight * likeness
        best = int(np.argmax(np.where(left, gain, -np.inf)))  # of equal ones the first
        order.append(best)
        left[best] = False
        likeness = np.maximum(likeness, matrix @ matrix[best])
    return [scored[each] for each in order] + behind


def _relevance(result: Result, kind: ScoreKind) -> float:
    if result.boost is not None:
        return result.boost.score
    return result.candidate.fused.score if kind == "retrieval" else result.relevance_score or 0.0


def limited(results: Sequence[Result], rule: MaxPer, kind: FieldType) -> list[Result]:
    """The results without those of whose values one was there ``count`` times before."""
    seen: Counter[Any] = Counter()
    kept: list[Result] = []
    for each in results:
        values = _values(each, rule.key, kind)
        if all(seen[value] < rule.count for value in values):
            seen.update(set(values))
            kept.append(each)
    return kept


def sorted_by(results: Sequence[Result], keys: Sequence[SortKey], fields: Mapping[str, FieldType]) -> list[Result]:
    """The results by the values of fields; of several values the first in the order counts."""
    ordered = list(results)
    for key in reversed(keys):
        descending, kind = key.order == "desc", fields[key.key]
        found = [(_values(each, key.key, kind), each) for each in ordered]
        having = [((max if descending else min)(values), each) for values, each in found if values]
        having.sort(key=lambda pair: pair[0], reverse=descending)  # stable in both directions
        ordered = [each for _, each in having] + [each for values, each in found if not values]
    return ordered


def _values(result: Result, key: str, kind: FieldType) -> list[Any]:
    values = [value for value in values_of(result.candidate.metadata.get(key)) if fits(kind, value)]
    return [place_of(kind, value) for value in values]
