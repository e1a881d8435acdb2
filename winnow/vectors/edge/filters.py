"""Our filter tree in the engine's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import qdrant_edge as edge

from winnow.core.errors import InvalidFilter
from winnow.core.types import And, Comparison, Exists, FieldType, Filter, JsonValue, Not, Or
from winnow.vectors.payloads import encode_value, field_path

_RANGED = ("integer", "float", "datetime")


def translate(node: Filter, fields: Mapping[str, FieldType]) -> edge.Filter:
    """The engine's filter for ``node``, which means what ``winnow.core.filters.matches`` says.

    Raises:
        InvalidFilter: a key is not declared, or its type has no order.
    """
    match node:
        case And(parts):
            return edge.Filter(must=[translate(part, fields) for part in parts])
        case Or(parts):
            return _any([translate(part, fields) for part in parts])
        case Not(part):
            return _not(translate(part, fields))
        case Exists(key):
            _kind_of(key, fields)
            return edge.Filter(must_not=[edge.IsEmptyCondition(field_path(key))])
        case Comparison():
            return _comparison(node, _kind_of(node.key, fields))


def _kind_of(key: str, fields: Mapping[str, FieldType]) -> FieldType:
    if key not in fields:
        declared = ", ".join(sorted(fields)) or "none"
        raise InvalidFilter(f"{key!r} is not a declared field of the index; declared are: {declared}")
    return fields[key]


def _comparison(node: Comparison, kind: FieldType) -> edge.Filter:
    path = field_path(node.key)
    match node.op:
        case "eq":
            return _one_of(path, kind, [node.value])
        case "ne":
            return _not(_one_of(path, kind, [node.value]))
        case "in":
            return _one_of(path, kind, node.value)
        case "nin":
            return _not(_one_of(path, kind, node.value))
        case "gt" | "gte" | "lt" | "lte":
            if kind not in _RANGED:
                raise InvalidFilter(f"{node.op} needs an ordered field; {node.key!r} is of type {kind}")
            return edge.Filter(must=[edge.FieldCondition(path, range=_range(kind, **{node.op: node.value}))])


def _one_of(path: str, kind: FieldType, values: Sequence[JsonValue]) -> edge.Filter:
    """Equal to any of the values. Floats and moments have no match condition: each is a range of one value."""
    if kind in ("float", "datetime"):
        ranges = [_range(kind, gte=value, lte=value) for value in values]
        return _any([edge.Filter(must=[edge.FieldCondition(path, range=each)]) for each in ranges])
    return edge.Filter(must=[edge.FieldCondition(path, match=edge.MatchAny([encode_value(kind, v) for v in values]))])


def _range(kind: FieldType, **bounds: JsonValue) -> edge.RangeFloat | edge.RangeDateTime:
    """A range. The engine takes bounds as 64-bit floats: those of integers beyond 2**53 are rounded."""
    if kind == "datetime":
        return edge.RangeDateTime(**{op: moment.isoformat() for op, moment in bounds.items()})
    return edge.RangeFloat(**{op: float(value) for op, value in bounds.items()})


def _any(parts: Sequence[edge.Filter]) -> edge.Filter:
    """Any of the parts; nothing where there are none (the engine reads an empty ``should`` as "everything")."""
    return edge.Filter(should=list(parts)) if parts else edge.Filter(must=[edge.HasIdCondition(set())])


def _not(part: edge.Filter) -> edge.Filter:
    return edge.Filter(must_not=[part])
