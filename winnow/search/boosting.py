"""Results in the order of their boosted scores. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from winnow.core.boosts import Boost, BoostPart, BoostScore, strength_of
from winnow.core.search import Result, ScoreKind
from winnow.core.types import FieldType


def boosted(
    results: Sequence[Result],
    boosts: Sequence[Boost],
    fields: Mapping[str, FieldType],
    *,
    kind: ScoreKind,
    window: int,
    now: datetime,
) -> list[Result]:
    """The results with their boosts, best first; ties stay in the order that they had.

    Exact results stay first, the most exact level before others. Scores compare within three groups, which stay in
    their order: what the second stage scored, the other candidates, and what lies behind the ``window`` of candidates.

    Args:
        results: in the order of a search.
        boosts: that are applied together.
        fields: the declared fields of the collection.
        kind: whether the second stage scored any.
        window: the number of candidates; those behind it have first-stage scores of another scale.
        now: the moment of the search.
    """
    scored = [(_group(each, kind, window), _boost(each, boosts, fields, now), each) for each in results]
    scored.sort(key=lambda each: (each[0], -each[2].candidate.level, -each[1].score))
    return [result._replace(boost=boost._replace(rank=rank)) for rank, (_, boost, result) in enumerate(scored, 1)]


def _group(result: Result, kind: ScoreKind, window: int) -> int:
    if kind == "relevance" and result.relevance_score is not None:
        return 0
    return 1 if result.candidate.fused.rank <= window else 2


def _boost(result: Result, boosts: Sequence[Boost], fields: Mapping[str, FieldType], now: datetime) -> BoostScore:
    metadata = result.candidate.metadata
    strengths = [(each, strength_of(each, metadata, fields[each.key], now)) for each in boosts]
    parts = tuple(BoostPart(each.key, strength, each.weight * strength) for each, strength in strengths)
    factor = max(0.0, 1 + sum(part.adds for part in parts))
    own = result.candidate.fused.score if result.relevance_score is None else result.relevance_score
    return BoostScore(0, own * factor, factor, parts)
