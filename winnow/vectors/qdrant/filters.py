"""Our filter tree in the words of a Qdrant server; what it means is said in ``edge_filters``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from qdrant_client import models

from winnow.core.errors import InvalidFilter
from winnow.core.types import And, Comparison, Exists, FieldType, Filter, JsonValue, Not, Or
from winnow.vectors.payloads import encode_value, field_path

_RANGED: Final = ("integer", "float", "datetime")


def translate(node: Filter, fields: Mapping[str, FieldType]) -> models.Filter:
    """The server's filter for ``node``, which means what ``winnow.core.filters.matches`` says.

    Raises:
        InvalidFilter: a key is not declared, or its type has no order.
    """
    match node:
        case And(parts):
            return models.Filter(must=[translate(part, fields) for part in parts])
        case Or(parts):
            return _any([translate(part, fields) for part in parts])
        case Not(part):
            return _not(translate(part, fields))
        case Exists(key):
            _kind_of(key, fields)
            empty = models.IsEmptyCondition(is_empty=models.PayloadField(key=field_path(key)))
            return models.Filter(must_not=[empty])
        case Comparison():
            return _comparison(node, _kind_of(node.key, fields))


def _kind_of(key: str, fields: Mapping[str, FieldType]) -> FieldType:
    if key not in fields:
        declared = ", ".join(sorted(fields)) or "none"
        raise InvalidFilter(f"{key!r} is not a declared field of the index; declared are: {declared}")
    return fields[key]


def _comparison(node: Comparison, kind: FieldType) -> models.Filter:
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
            return _within(path, _range(kind, **{node.op: node.value}))


def _one_of(path: str, kind: FieldType, values: Sequence[JsonValue]) -> models.Filter:
    """Equal to any of the values. Floats and moments have no match condition: each is a range of one value."""
    if kind in ("float", "datetime"):
        return _any([_within(path, _range(kind, gte=value, lte=value)) for value in values])
    match = models.MatchAny(any=[encode_value(kind, value) for value in values])
    return models.Filter(must=[models.FieldCondition(key=path, match=match)])


def _range(kind: FieldType, **bounds: JsonValue) -> models.Range | models.DatetimeRange:
    """A range. The server takes bounds as 64-bit floats: those of integers beyond 2**53 are rounded."""
    if kind == "datetime":
        return models.DatetimeRange(**bounds)
    return models.Range(**{op: float(value) for op, value in bounds.items()})


def _within(path: str, bounds: models.Range | models.DatetimeRange) -> models.Filter:
    return models.Filter(must=[models.FieldCondition(key=path, range=bounds)])


def _any(parts: Sequence[models.Filter]) -> models.Filter:
    """Any of the parts; nothing where there are none (the server reads an empty ``should`` as "everything")."""
    if not parts:
        return models.Filter(must=[models.HasIdCondition(has_id=[])])
    return models.Filter(should=list(parts))


def _not(part: models.Filter) -> models.Filter:
    return models.Filter(must_not=[part])
