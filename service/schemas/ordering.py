"""The order of results on the wire."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from service.schemas.boosts import BoostParameters, BoostsBody
from service.schemas.common import Body
from winnow.core.errors import InvalidQuery
from winnow.core.ordering import MAX_PER_VALUE, MAX_SORT_KEYS, MaxPer, Ordering, SortKey, SortOrder

_MMR: Final = "weight of diversity against relevance, 0 to 1 (maximal marginal relevance)"


class SortBody(Body):
    """A declared field to sort by; documents without a value come last."""

    key: str
    order: SortOrder = "asc"


class MaxPerBody(Body):
    """At most ``count`` results with the same value of a declared field."""

    key: str
    count: int = Field(ge=1, le=MAX_PER_VALUE)


class OrderingBody(BoostsBody):
    """The order of a search's results as JSON."""

    sort: list[SortBody] | None = Field(
        None, max_length=MAX_SORT_KEYS, description="among all results, or with min_relevance among those above it"
    )
    max_per: MaxPerBody | None = Field(None, description="leaves further results with the same value out")
    mmr: float | None = Field(None, ge=0, le=1, description=_MMR)

    def to_ordering(self) -> Ordering | None:
        """The domain's form; ``None`` where the order is by score."""
        if not self.sort and self.max_per is None and not self.mmr and not self.boosts:
            return None
        boosts = tuple(each.to_boost() for each in self.boosts or ())
        per = None if self.max_per is None else MaxPer(self.max_per.key, self.max_per.count)
        return Ordering(boosts, self.mmr, per, tuple(SortKey(each.key, each.order) for each in self.sort or ()))


class OrderingParameters(BoostParameters):
    """The order of a search's results in a query string."""

    sort: str | None = Field(None, description="fields and orders", examples=["year:desc,lang"])
    max_per: str | None = Field(None, description="a field and a number", examples=["lang:2"])
    mmr: float | None = Field(None, ge=0, le=1, description=_MMR)

    def ordering_options(self) -> dict[str, Any]:
        """The fields of ``OrderingBody``.

        Raises:
            InvalidQuery: a part is not written as it must be.
        """
        keys = [] if self.sort is None else [_sort_key(part) for part in self.sort.split(",")]
        order = {"sort": keys or None, "max_per": _max_per(self.max_per), "mmr": self.mmr}
        return {**self.boost_options(), **order}


def _sort_key(part: str) -> SortBody:
    key, _, order = part.strip().partition(":")
    if not key or order not in ("", "asc", "desc"):
        raise InvalidQuery(f"sort: {part[:80]!r} is not a field, or field:asc, or field:desc", location=("sort",))
    return SortBody(key=key, order="desc" if order == "desc" else "asc")


def _max_per(text: str | None) -> MaxPerBody | None:
    if text is None:
        return None
    key, _, count = text.rpartition(":")
    if not key or not count.isdecimal() or not 1 <= int(count) <= MAX_PER_VALUE:
        message = f"max_per: {text[:80]!r} is not a field and a number from 1 to {MAX_PER_VALUE:,}, like lang:2"
        raise InvalidQuery(message, location=("max_per",))
    return MaxPerBody(key=key, count=int(count))
