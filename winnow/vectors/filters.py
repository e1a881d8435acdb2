"""Translation of our filter tree into conditions of an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar, assert_never, cast

from winnow.core.acl import DOCUMENT_FIELD
from winnow.core.errors import InvalidFilter
from winnow.core.types import And, Comparison, Exists, FieldType, Filter, JsonValue, Not, Or
from winnow.vectors.payloads import encode_value, field_path
from winnow.vectors.ranges import RangeOp, integer_range

_RANGED: Final = ("integer", "float", "datetime")

_F = TypeVar("_F")


@dataclass(frozen=True, slots=True)
class FilterTranslator(Generic[_F]):
    """Builds filters of one engine, which mean what ``winnow.core.filters.matches`` says.

    Attributes:
        combine: a filter of the conditions in ``must``, ``should`` or ``must_not``.
        is_empty: the field at a path has no value.
        matches_any: the field at a path has one of these values.
        in_range: the number at a path is within ``gt``, ``gte``, ``lt`` and ``lte``, which are 64-bit floats.
        in_period: the same for moments.
        matches_nothing: no point at all.
    """

    combine: Callable[..., _F]
    is_empty: Callable[[str], Any]
    matches_any: Callable[[str, list[Any]], Any]
    in_range: Callable[[str, dict[str, float]], Any]
    in_period: Callable[[str, dict[str, datetime]], Any]
    matches_nothing: Callable[[], Any]

    def translate(self, node: Filter, fields: Mapping[str, FieldType]) -> _F:
        """The engine's filter for ``node``.

        Raises:
            InvalidFilter: a key is not declared, or its type has no order.
        """
        match node:
            case And(parts):
                return self.combine(must=[self.translate(part, fields) for part in parts])
            case Or(parts):
                return self._any([self.translate(part, fields) for part in parts])
            case Not(part):
                return self._not(self.translate(part, fields))
            case Exists(key):
                _type_of(key, fields)
                return self._not(self.is_empty(field_path(key)))
            case Comparison():
                return self._compare(node, _type_of(node.key, fields))
            case unknown:
                assert_never(unknown)

    def _compare(self, node: Comparison, kind: FieldType) -> _F:
        path = field_path(node.key)
        match node.op:
            case "eq" | "in":
                return self._one_of(path, kind, [node.value] if node.op == "eq" else node.value)
            case "ne" | "nin":
                return self._not(self._one_of(path, kind, [node.value] if node.op == "ne" else node.value))
            case "gt" | "gte" | "lt" | "lte":
                if kind not in _RANGED:
                    raise InvalidFilter(f"{node.op} needs an ordered field; {node.key!r} is of type {kind}")
                return self._within(path, kind, {node.op: node.value})
            case unknown:
                assert_never(unknown)

    def _one_of(self, path: str, kind: FieldType, values: Sequence[JsonValue]) -> _F:
        """Equal to any of the values. Floats and moments have no match condition: each is a range of one value."""
        if kind in ("float", "datetime"):
            return self._any([self._within(path, kind, {"gte": value, "lte": value}) for value in values])
        return self.combine(must=[self.matches_any(path, [encode_value(kind, value) for value in values])])

    def _within(self, path: str, kind: FieldType, bounds: Mapping[str, JsonValue]) -> _F:
        if kind == "datetime":
            return self.combine(must=[self.in_period(path, dict(bounds))])
        if kind == "integer":
            return self.combine(must=[self._integers(path, op, value) for op, value in bounds.items()])
        return self.combine(must=[self.in_range(path, {op: float(value) for op, value in bounds.items()})])

    def _integers(self, path: str, op: str, value: int) -> _F:
        """Whole numbers on one side of a bound."""
        found = integer_range(cast("RangeOp", op), value)
        parts = [self.in_range(path, found.bounds)] if found.bounds else []
        return self._any([*parts, self.matches_any(path, list(found.single))] if found.single else parts)

    def _any(self, parts: Sequence[_F]) -> _F:
        """Any of the parts; nothing if there are none, because engines read an empty ``should`` as "everything"."""
        return self.combine(should=list(parts)) if parts else self.combine(must=[self.matches_nothing()])

    def _not(self, part: Any) -> _F:
        return self.combine(must_not=[part])


def _type_of(key: str, fields: Mapping[str, FieldType]) -> FieldType:
    if key == DOCUMENT_FIELD:
        return "keyword"
    if key not in fields:
        declared = ", ".join(sorted(fields)) or "none"
        raise InvalidFilter(f"{key!r} is not a declared field of the index; declared are: {declared}")
    return fields[key]
