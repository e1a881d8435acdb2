"""Boosts: documents that count more, or less, for the values of their fields. Requests, strengths, scores.

A boost has a strength in [0, 1] for each document, by one of three functions of a declared field:

- values: 1 where the document has one of them, else 0;
- nearness: ``0.5 ** (distance / half_life)``, the exponential decay of Elasticsearch's ``function_score``
  (https://www.elastic.co/guide/en/elasticsearch/reference/current/query-dsl-function-score-query.html#function-decay);
- amount: ``value / (value + pivot)``, the saturation of its ``rank_feature``
  (https://www.elastic.co/guide/en/elasticsearch/reference/current/query-dsl-rank-feature-query.html#rank-feature-query-saturation).

A document without a value has strength 0. The score that orders results is multiplied by
``max(0, 1 + sum(weight * strength))``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias, assert_never

from winnow.core.errors import InvalidQuery
from winnow.core.facets import ORDERED, declared_type, place_of
from winnow.core.filters import fits, values_of
from winnow.core.types import FieldType, JsonValue, Metadata

MAX_BOOSTS: Final = 16
MAX_BOOST_VALUES: Final = 100
MIN_WEIGHT: Final = -1.0
MAX_WEIGHT: Final = 10.0

_SECONDS_A_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class ValueBoost:
    """A boost of documents that have one of the ``values``."""

    key: str
    weight: float
    values: tuple[JsonValue, ...]


@dataclass(frozen=True, slots=True)
class NearBoost:
    """A boost of documents whose value is near ``origin``.

    Attributes:
        half_life: the distance at which the strength is one half: days for a datetime, else the field's own unit.
        origin: a value of the field's type; ``None``: the moment of the search.
    """

    key: str
    weight: float
    half_life: float
    origin: str | float | None = None


@dataclass(frozen=True, slots=True)
class AmountBoost:
    """A boost by a number that has no bound, such as views; at ``pivot`` the strength is one half."""

    key: str
    weight: float
    pivot: float


Boost: TypeAlias = ValueBoost | NearBoost | AmountBoost


class BoostPart(NamedTuple):
    """What one boost is for a document: its strength in [0, 1], and what it adds to the factor."""

    key: str
    strength: float
    adds: float


class BoostScore(NamedTuple):
    """The place of a result among those of a search, from 1, the score that it comes from, and what that is made of.

    ``score`` is the relevance score, or where there is none the first stage's, times ``factor``.
    """

    rank: int
    score: float
    factor: float
    parts: tuple[BoostPart, ...]


def check_boosts(boosts: tuple[Boost, ...], fields: Mapping[str, FieldType]) -> None:
    """Check that boosts are of declared fields, and suit their types.

    Raises:
        InvalidQuery: names the place.
    """
    if len(boosts) > MAX_BOOSTS:
        raise InvalidQuery(f"boosts has {len(boosts)} entries; the limit is {MAX_BOOSTS}", location=("boosts",))
    for at, boost in enumerate(boosts):
        kind = declared_type(boost.key, fields, ("boosts", at, "key"))
        match boost:
            case ValueBoost():
                for number, value in enumerate(boost.values):
                    _check_value(boost.key, kind, value, ("boosts", at, "values", number))
            case NearBoost():
                _check_near(boost, kind, at)
            case AmountBoost():
                if kind not in ("integer", "float"):
                    message = f"pivot needs a field of numbers; {boost.key!r} is of type {kind}"
                    raise InvalidQuery(message, location=("boosts", at, "pivot"))
            case _:
                assert_never(boost)


def _check_near(boost: NearBoost, kind: FieldType, at: int) -> None:
    if kind not in ORDERED:
        message = f"half_life needs a field of numbers or moments; {boost.key!r} is of type {kind}"
        raise InvalidQuery(message, location=("boosts", at, "half_life"))
    if boost.origin is not None:
        _check_value(boost.key, "float" if kind == "integer" else kind, boost.origin, ("boosts", at, "origin"))
    elif kind != "datetime":
        message = f"half_life over {boost.key!r}, which is of type {kind}, needs an origin"
        raise InvalidQuery(message, location=("boosts", at, "origin"))


def _check_value(key: str, kind: FieldType, value: JsonValue, location: tuple[str | int, ...]) -> None:
    if not fits(kind, value):
        raise InvalidQuery(f"field {key!r} is of type {kind}; {repr(value)[:80]} is not", location=location)


def strength_of(boost: Boost, metadata: Metadata, kind: FieldType, now: datetime) -> float:
    """The strength of a boost for a document with this metadata; of several values the best counts."""
    values = [place_of(kind, value) for value in values_of(metadata.get(boost.key)) if fits(kind, value)]
    if not values:
        return 0.0
    match boost:
        case ValueBoost():
            return float(not {place_of(kind, each) for each in boost.values}.isdisjoint(values))
        case NearBoost():
            origin = now if boost.origin is None else place_of(kind, boost.origin)
            return float(0.5 ** (min(_distance(value, origin) for value in values) / boost.half_life))
        case AmountBoost():
            most = max(values)
            return float(most / (most + boost.pivot)) if most > 0 else 0.0
        case _:
            assert_never(boost)


def _distance(value: Any, origin: Any) -> float:
    """Days between moments, or the distance of numbers."""
    apart = value - origin
    return abs(apart.total_seconds()) / _SECONDS_A_DAY if isinstance(value, datetime) else abs(float(apart))
