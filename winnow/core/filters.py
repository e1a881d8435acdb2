"""Reads the filter tree from JSON, checks it against a collection's fields, and evaluates it.

The wire form is that of OpenAI's vector stores (``{"type": "eq", "key": …, "value": …}``, ``and``, ``or``) plus ``not``
(``{"type": "not", "filter": …}``) and ``exists`` (``{"type": "exists", "key": …}``).

A list in a document's metadata matches if any of its elements does. A missing key matches nothing but ``ne``,
``nin`` and ``not``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from operator import eq, ge, gt, le, lt
from typing import Any, Final, cast

from winnow.core.errors import InvalidFilter
from winnow.core.types import And, Comparison, Exists, FieldType, Filter, JsonValue, Metadata, Not, Or

MAX_DEPTH: Final = 8
MAX_LEAVES: Final = 256
MAX_VALUES: Final = 1024

_ORDERED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
_FINER_THAN_MICROSECONDS: Final = re.compile(r"[.,]\d{6}\d*[1-9]")
_COMPARISONS: Final = ("eq", "ne", "in", "nin", *_ORDERED)
_TYPES: Final = (*_COMPARISONS, "and", "or", "not", "exists")
_ORDERED_FIELDS: Final = ("integer", "float", "datetime")
_KEYS: Final = {"and": ("filters",), "or": ("filters",), "not": ("filter",), "exists": ("key",)}  # beside the type


def parse_filter(raw: object, fields: Mapping[str, FieldType]) -> Filter:
    """Read a filter and check it against the declared ``fields``.

    Raises:
        InvalidFilter: with ``location`` pointing at the culprit, from ``("filter",)`` downwards.
    """
    return _Parser(fields).parse(raw, ("filter",), 1)


def check_shape(raw: object) -> None:
    """Raise ``InvalidFilter`` for what can be a filter of no collection, whatever fields that declares."""
    _ShapeParser({}).parse(raw, ("filter",), 1)


def narrowed(wanted: Filter | None, further: Filter) -> Filter:
    """The filter that passes what both pass; ``None`` passes everything."""
    return further if wanted is None else And((wanted, further))


def matches(node: Filter, metadata: Metadata) -> bool:
    """Whether a document with this metadata passes the filter."""
    match node:
        case And(parts):
            return all(matches(part, metadata) for part in parts)
        case Or(parts):
            return any(matches(part, metadata) for part in parts)
        case Not(part):
            return not matches(part, metadata)
        case Exists(key):
            return bool(values_of(metadata.get(key)))
        case Comparison(op, key, value):
            return _compare(op, values_of(metadata.get(key)), value)


def values_of(value: JsonValue) -> list[JsonValue]:
    """A metadata value as the list of values that filters see: nulls left out, a scalar as one."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if item is not None]


def parse_datetime(text: str) -> datetime:
    """Read an RFC 3339 / ISO 8601 date or time; without a zone it is UTC. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def fits(kind: FieldType, value: JsonValue) -> bool:
    """Whether one (non-list) value is of a field's type."""
    match kind:
        case "boolean":
            return isinstance(value, bool)
        case "keyword":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case "datetime":
            return isinstance(value, str) and _is_datetime(value)


def _compare(op: str, values: Sequence[JsonValue], wanted: JsonValue) -> bool:
    if op in ("ne", "nin"):
        return not _compare("eq" if op == "ne" else "in", values, wanted)
    if op == "in":
        return any(_compare("eq", values, item) for item in wanted)
    test = _ORDERED.get(op, eq)
    return any(_test(test, value, wanted) for value in values)


def _test(test: Callable[[Any, Any], bool], value: JsonValue, wanted: JsonValue) -> bool:
    """Compare values of one kind; values of different kinds never match."""
    if isinstance(wanted, datetime):
        return isinstance(value, str) and _is_datetime(value) and test(parse_datetime(value), wanted)
    if isinstance(value, bool) != isinstance(wanted, bool):
        return False
    kind = str if isinstance(wanted, str) else int | float
    return isinstance(value, kind) and isinstance(wanted, kind) and test(value, wanted)


def _is_datetime(text: str) -> bool:
    try:
        parse_datetime(text)
    except (ValueError, OverflowError):
        return False
    return True


class _Parser:
    def __init__(self, fields: Mapping[str, FieldType]) -> None:
        self._fields = fields
        self._leaves = 0

    def parse(self, raw: object, at: tuple[str | int, ...], depth: int) -> Filter:
        if not isinstance(raw, dict):
            raise InvalidFilter("a filter is an object with a type", location=at)
        kind = raw.get("type")
        if kind not in _TYPES:
            raise InvalidFilter(f"unknown filter type {kind!r}; known are {', '.join(_TYPES)}", location=(*at, "type"))
        if depth > MAX_DEPTH:
            raise InvalidFilter(f"filters nest at most {MAX_DEPTH} deep", location=at)
        allowed = sorted(("type", *_KEYS.get(kind, ("key", "value"))))
        for key in raw:
            if key not in allowed:
                raise InvalidFilter(f"a {kind} filter has no {key!r}; it has {', '.join(allowed)}", location=at)
        match kind:
            case "and" | "or":
                return self._group(kind, raw.get("filters"), at, depth)
            case "not":
                return Not(self.parse(raw.get("filter"), (*at, "filter"), depth + 1))
            case "exists":
                return Exists(self._leaf_key(raw, at)[0])
            case _:
                return self._comparison(kind, raw, at)

    def _group(self, kind: str, parts: object, at: tuple[str | int, ...], depth: int) -> Filter:
        if not isinstance(parts, list) or not parts:
            raise InvalidFilter(f"{kind} needs a non-empty list of filters", location=(*at, "filters"))
        parsed = tuple(self.parse(part, (*at, "filters", i), depth + 1) for i, part in enumerate(parts))
        return And(parsed) if kind == "and" else Or(parsed)

    def _leaf_key(self, raw: Mapping[str, object], at: tuple[str | int, ...]) -> tuple[str, FieldType]:
        self._leaves += 1
        if self._leaves > MAX_LEAVES:
            raise InvalidFilter(f"a filter has at most {MAX_LEAVES} conditions", location=at)
        key = raw.get("key")
        if not isinstance(key, str) or key not in self._fields:
            declared = ", ".join(sorted(self._fields)) or "none"
            raise InvalidFilter(f"{key!r} is not a declared field; declared are: {declared}", location=(*at, "key"))
        return key, self._fields[key]

    def _comparison(self, op: str, raw: Mapping[str, object], at: tuple[str | int, ...]) -> Comparison:
        key, kind = self._leaf_key(raw, at)
        value = raw.get("value")
        here = (*at, "value")
        if op in _ORDERED and kind not in _ORDERED_FIELDS:
            raise InvalidFilter(f"{op} needs an ordered field; {key!r} is of type {kind}", location=(*at, "type"))
        if op in ("in", "nin"):
            if not isinstance(value, list) or not value or len(value) > MAX_VALUES:
                raise InvalidFilter(f"{op} needs a list of 1 to {MAX_VALUES} values", location=here)
            items = [self._value(kind, key, item, (*here, i)) for i, item in enumerate(value)]
            return Comparison(cast("Any", op), key, items)
        return Comparison(cast("Any", op), key, self._value(kind, key, value, here))

    def _value(self, kind: FieldType, key: str, value: object, at: tuple[str | int, ...]) -> JsonValue:
        if not fits(kind, value):
            raise InvalidFilter(f"field {key!r} is of type {kind}; {repr(value)[:80]} is not", location=at)
        if kind != "datetime":
            return value
        if _FINER_THAN_MICROSECONDS.search(str(value)):
            raise InvalidFilter(
                f"field {key!r}: times are compared in microseconds; {str(value)[:80]} has more digits",
                location=at,
            )
        return parse_datetime(cast("str", value))


class _ShapeParser(_Parser):
    """Takes every field to be declared, and every plain value to be of its type."""

    def _leaf_key(self, raw: Mapping[str, object], at: tuple[str | int, ...]) -> tuple[str, FieldType]:
        self._fields = {key: "float"} if isinstance(key := raw.get("key"), str) else {}
        return super()._leaf_key(raw, at)

    def _value(self, kind: FieldType, key: str, value: object, at: tuple[str | int, ...]) -> JsonValue:
        if isinstance(value, str | bool | int | float):
            return value
        return super()._value(kind, key, value, at)
