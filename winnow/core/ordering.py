"""Other orders of results than by score: boosted or sorted by fields, limited for each value, or diverse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from winnow.core.boosts import Boost, check_boosts
from winnow.core.errors import InvalidQuery
from winnow.core.facets import declared_type
from winnow.core.types import FieldType

MAX_SORT_KEYS: Final = 8
MAX_PER_VALUE: Final = 1000

SortOrder: TypeAlias = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class SortKey:
    """A declared field to sort by. Documents without a value come last in both orders."""

    key: str
    order: SortOrder = "asc"


@dataclass(frozen=True, slots=True)
class MaxPer:
    """At most ``count`` results with the same value of a declared field; those without a value are not limited."""

    key: str
    count: int


@dataclass(frozen=True, slots=True)
class Ordering:
    """What is done to the results, in this order of the attributes.

    Attributes:
        boosts: change the scores that order results, and those that ``mmr`` weighs.
        mmr: weight of diversity against relevance, in [0, 1]; ``None`` leaves the order alone.
        max_per: leaves results out.
        sort: the first key decides, then the next; ties stay in the order that they had.
    """

    boosts: tuple[Boost, ...] = ()
    mmr: float | None = None
    max_per: MaxPer | None = None
    sort: tuple[SortKey, ...] = ()


def check_ordering(ordering: Ordering, fields: Mapping[str, FieldType]) -> None:
    """Check that an ordering is about declared fields, and that boosts suit them.

    Raises:
        InvalidQuery: names what is not.
    """
    check_boosts(ordering.boosts, fields)
    if len(ordering.sort) > MAX_SORT_KEYS:
        message = f"sort has {len(ordering.sort)} keys; the limit is {MAX_SORT_KEYS}"
        raise InvalidQuery(message, location=("sort",))
    for at, each in enumerate(ordering.sort):
        declared_type(each.key, fields, ("sort", at, "key"))
    if ordering.max_per is not None:
        declared_type(ordering.max_per.key, fields, ("max_per", "key"))
