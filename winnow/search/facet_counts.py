"""Facet counts out of described points: each document once, in its newest revision. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from winnow.core.facets import Bound, FacetCounts, FacetRange, Facets, FacetValue, Place, place_of
from winnow.core.types import FieldType, JsonValue
from winnow.ports import DescribedPoint

_NONE: Final[tuple[JsonValue, ...]] = ()


def newest_of_each(points: Iterable[DescribedPoint]) -> list[DescribedPoint]:
    """One point of each document, of its newest revision; all points of a revision have the same values."""
    newest: dict[str, DescribedPoint] = {}
    for point in points:
        known = newest.get(point.document_id)
        if known is None or known.revision < point.revision:
            newest[point.document_id] = point
    return list(newest.values())


def count_field(
    documents: Sequence[DescribedPoint], key: str, kind: FieldType, facets: Facets, *, exact: bool
) -> FacetCounts:
    """The counts of one field over documents, of which each is given once."""
    found = [document.values.get(key, _NONE) for document in documents]
    values, omitted, ranges = None, 0, None
    if key in facets.keys:
        counted = ordered(_by_moment(found) if kind == "datetime" else _by_value(found))
        values, omitted = tuple(counted[: facets.limit]), max(0, len(counted) - facets.limit)
    if key in facets.ranges:
        ranges = _ranges(found, kind, facets.ranges[key])
    return FacetCounts(values, ranges, omitted, exact)


def ordered(counts: Mapping[JsonValue, int]) -> list[FacetValue]:
    """Values by count, most first, ties by value."""
    return [FacetValue(value, count) for value, count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))]


def _by_value(found: Iterable[Sequence[JsonValue]]) -> Mapping[JsonValue, int]:
    return Counter(value for values in found for value in (values if len(values) < 2 else dict.fromkeys(values)))


def _by_moment(found: Iterable[Sequence[JsonValue]]) -> Mapping[JsonValue, int]:
    """Documents by moment; of the ways in which documents spell one the first by the alphabet is shown."""
    spellings: dict[Place, str] = {}
    counts: Counter[Place] = Counter()
    for values in found:
        moments = {place_of("datetime", each): each for each in sorted(values, reverse=True)}
        counts.update(moments.keys())
        for moment, spelling in moments.items():
            spellings[moment] = min(spelling, spellings.get(moment, spelling))
    return {spellings[moment]: count for moment, count in counts.items()}


def _ranges(found: Iterable[Sequence[JsonValue]], kind: FieldType, bounds: Sequence[Bound]) -> tuple[FacetRange, ...]:
    """How many documents have a value in each range, which includes its start and not its end."""
    cuts: list[Place] = [place_of(kind, each) for each in bounds if each is not None]
    first = 1 if bounds[0] is not None else 0  # places before the first cut belong to no range unless that side is open
    places: dict[JsonValue, int] = {}

    def range_of(value: JsonValue) -> int:
        at = places.get(value)
        if at is None:
            at = places[value] = bisect_right(cuts, place_of(kind, value)) - first
        return at

    counts = Counter(at for values in found for at in {range_of(value) for value in values})
    return tuple(FacetRange(bounds[at], bounds[at + 1], counts[at]) for at in range(len(bounds) - 1))
