"""Facets: how the documents of a search spread over the values of declared fields. Requests, counts, their rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, TypeAlias

from winnow.core.errors import InvalidQuery
from winnow.core.filters import fits, parse_datetime
from winnow.core.types import And, Comparison, Exists, FieldType, Filter, JsonValue, Not, Or

MAX_FACETS: Final = 32
MAX_BOUNDS: Final = 64
MAX_VALUES: Final = 1000
DEFAULT_VALUES: Final = 100
ORDERED: Final[frozenset[FieldType]] = frozenset({"integer", "float", "datetime"})

Bound: TypeAlias = int | float | str | None
Place: TypeAlias = Any  # a number or a moment: values of one field compare with each other


@dataclass(frozen=True, slots=True)
class Facets:
    """The facets that a search is asked for.

    Attributes:
        keys: declared fields whose values are counted.
        ranges: by field, bounds in ascending order; ``None`` as the first or last leaves that side open.
        disjunctive: whether the conditions of the search's filter on a facet's own field do not narrow its counts.
        limit: the most values of a facet that are returned.
    """

    keys: tuple[str, ...] = ()
    ranges: Mapping[str, tuple[Bound, ...]] = field(default_factory=dict)
    disjunctive: bool = False
    limit: int = DEFAULT_VALUES

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that is counted, once."""
        return tuple(dict.fromkeys((*self.keys, *self.ranges)))


class FacetValue(NamedTuple):
    """A value and the number of documents that have it."""

    value: JsonValue
    documents: int


class FacetRange(NamedTuple):
    """The number of documents with a value from ``start`` on and before ``end``; ``None`` where a side is open."""

    start: Bound
    end: Bound
    documents: int


@dataclass(frozen=True, slots=True)
class FacetCounts:
    """The counts of one field.

    Attributes:
        values: by count, then by value; ``None`` where only ranges were asked for.
        ranges: in their order; ``None`` where only values were asked for.
        omitted: values that are not among ``values``, which has a limit.
        exact: whether all documents that match were counted.
    """

    values: tuple[FacetValue, ...] | None
    ranges: tuple[FacetRange, ...] | None
    omitted: int = 0
    exact: bool = True


def check_facets(facets: Facets, fields: Mapping[str, FieldType]) -> None:
    """Check that facets are of declared fields, and ranges of ordered ones with bounds of their type in order.

    Raises:
        InvalidQuery: names the field or the bound that is wrong.
    """
    for name, keys in (("facets", facets.keys), ("facet_ranges", facets.ranges)):
        if len(keys) > MAX_FACETS:
            raise InvalidQuery(f"{name} has {len(keys)} fields; the limit is {MAX_FACETS}", location=(name,))
    for at, key in enumerate(facets.keys):
        declared_type(key, fields, ("facets", at))
    for key, bounds in facets.ranges.items():
        place = ("facet_ranges", key)
        kind = declared_type(key, fields, place)
        if kind not in ORDERED:
            raise InvalidQuery(f"ranges need an ordered field; {key!r} is of type {kind}", location=place)
        _check_bounds(key, kind, bounds)


def declared_type(key: str, fields: Mapping[str, FieldType], location: tuple[str | int, ...]) -> FieldType:
    """The type of a declared field.

    Raises:
        InvalidQuery: it is not declared; the message lists those that are.
    """
    if key not in fields:
        declared = ", ".join(sorted(fields)) or "none"
        raise InvalidQuery(f"{key!r} is not a declared field; declared are: {declared}", location=location)
    return fields[key]


def place_of(kind: FieldType, value: JsonValue) -> Place:
    """A value of an ordered field in a form that compares: a moment of a datetime, else the number itself."""
    return parse_datetime(value) if kind == "datetime" else value


def _check_bounds(key: str, kind: FieldType, bounds: tuple[Bound, ...]) -> None:
    if not 2 <= len(bounds) <= MAX_BOUNDS:
        message = f"the ranges of {key!r} need 2 to {MAX_BOUNDS} bounds, not {len(bounds)}: n bounds make n - 1 ranges"
        raise InvalidQuery(message, location=("facet_ranges", key))
    before: Place | None = None
    for at, bound in enumerate(bounds):
        location = ("facet_ranges", key, at)
        if bound is None and at in (0, len(bounds) - 1):
            continue
        number = kind == "integer" and fits("float", bound)  # a year may be cut at 1999.5
        if not (number or fits(kind, bound)):
            raise InvalidQuery(f"field {key!r} is of type {kind}; {repr(bound)[:80]} is not", location=location)
        place = place_of(kind, bound)
        if before is not None and not before < place:
            raise InvalidQuery(f"the bounds of {key!r} must ascend; {bound!r} does not", location=location)
        before = place


def without_own(node: Filter | None, key: str) -> Filter | None:
    """A filter without its conditions on one field, as far as every document must meet them.

    Left out are parts of the outermost ``and`` that look at this field alone; a part that looks at others too stays.
    """
    match node:
        case None:
            return None
        case And(parts):
            left = tuple(part for part in (without_own(each, key) for each in parts) if part is not None)
            return None if not left else left[0] if len(left) == 1 else replace(node, parts=left)
        case _:
            return None if keys_of(node) == {key} else node


def keys_of(node: Filter) -> set[str]:
    """The fields that a filter looks at."""
    match node:
        case And(parts) | Or(parts):
            return {key for part in parts for key in keys_of(part)}
        case Not(part):
            return keys_of(part)
        case Exists(key) | Comparison(_, key, _):
            return {key}
