"""Algolia's filters as ours: ``filters``, ``facetFilters`` and ``numericFilters`` (Algolia's guide "Filters").

Attributes are declared fields of the collection. Moments are Unix times in seconds, or ISO 8601.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from service.doors.algolia_bodies import AlgoliaOptions
from winnow.core.errors import InvalidFilter
from winnow.core.types import FieldType

Tree = dict[str, Any]

_OPERATORS: Final[Mapping[str, str]] = {"=": "eq", "!=": "ne", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_NUMERIC: Final = re.compile(r"\s*([\w.\-]+)\s*(<=|>=|!=|=|<|>)\s*(-?[\w.:+\-]+)\s*\Z")
_RANGE: Final = re.compile(r"\s*([\w.\-]+)\s*:\s*(-?[\d.]+)\s+TO\s+(-?[\d.]+)\s*\Z", re.IGNORECASE)
_TOKEN: Final = re.compile(r"""\s*(\(|\)|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|<=|>=|!=|=|<|>|:|[^\s()<>=!:"']+)""")
_WORDS: Final = frozenset({"AND", "OR", "NOT", "TO"})
_MOST: Final = 8192


def filter_of(options: AlgoliaOptions, fields: Mapping[str, FieldType]) -> Tree | None:
    """All filters of a query as one; ``None`` where it has none.

    Raises:
        InvalidFilter: an attribute is not declared, or a filter cannot be read.
    """
    if options.tagFilters:
        message = "tagFilters are not supported: use facetFilters on a declared field"
        raise InvalidFilter(message, location=("tagFilters",))
    reader = _Leaves(fields)
    parts = [
        _nested(options.facetFilters, "facetFilters", reader.facet),
        _nested(options.numericFilters, "numericFilters", reader.numeric),
        _Sentence(options.filters, reader).read() if options.filters.strip() else None,
    ]
    return _joined("and", [part for part in parts if part is not None])


def _joined(kind: str, parts: list[Tree]) -> Tree | None:
    return None if not parts else parts[0] if len(parts) == 1 else {"type": kind, "filters": parts}


def _nested(value: Any, name: str, leaf: Callable[[str], Tree]) -> Tree | None:
    """A list whose elements must all hold; of an element that is a list one must."""
    if value is None or value in ("", []):
        return None
    parts: list[Tree] = []
    for each in value if isinstance(value, list) else [value]:
        some = each if isinstance(each, list) else [each]
        if not all(isinstance(text, str) for text in some):
            raise InvalidFilter(f"{name} is a list of texts and of lists of texts", location=(name,))
        either = _joined("or", [leaf(text) for text in some])
        if either is not None:
            parts.append(either)
    return _joined("and", parts)


class _Leaves:
    """Reads single conditions."""

    def __init__(self, fields: Mapping[str, FieldType]) -> None:
        self._fields = fields

    def facet(self, text: str) -> Tree:
        """``lang:en``, ``lang:-en`` (not), ``-lang:en`` (not)."""
        key, colon, value = text.partition(":")
        if not colon:
            raise InvalidFilter(f"{text[:80]!r} is not of the form attribute:value", location=("facetFilters",))
        negative = key.startswith("-") or value.startswith("-")
        value = value[1:] if value.startswith(("-", "\\-")) else value  # an escaped - is part of the value
        return self.equal(key.removeprefix("-"), value, "ne" if negative else "eq")

    def numeric(self, text: str) -> Tree:
        """``year>=2000`` or ``year:2000 TO 2010``, both ends included."""
        if found := _RANGE.match(text):
            return self.between(*found.groups())
        found = _NUMERIC.match(text)
        if not found:
            raise InvalidFilter(f"{text[:80]!r} is not of the form attribute >= number", location=("numericFilters",))
        key, operator, value = found.groups()
        return self.equal(key, value, _OPERATORS[operator])

    def between(self, key: str, low: str, high: str) -> Tree:
        """Both ends included."""
        return {"type": "and", "filters": [self.equal(key, low, "gte"), self.equal(key, high, "lte")]}

    def equal(self, key: str, value: str, kind: str) -> Tree:
        """One comparison; the value is read as one of the field's type."""
        return {"type": kind, "key": key, "value": _typed(value, self._fields.get(key), key)}


def _typed(value: str, kind: FieldType | None, key: str) -> Any:
    try:
        match kind:
            case "integer":
                return int(value) if "." not in value else int(float(value))
            case "float":
                return float(value)
            case "boolean":
                return {"true": True, "false": False, "1": True, "0": False}[value.lower()]
            case "datetime" if re.fullmatch(r"-?\d+(\.\d+)?", value):
                return datetime.fromtimestamp(float(value), UTC).isoformat()
            case _:
                return value
    except (ValueError, KeyError, OverflowError, OSError) as error:
        raise InvalidFilter(f"{value[:80]!r} is not a value of the field {key!r}, of type {kind}") from error


class _Sentence:
    """Reads ``filters``: ``lang:en AND (year > 2000 OR NOT draft:true)``. AND binds more tightly than OR."""

    def __init__(self, text: str, leaves: _Leaves) -> None:
        if len(text) > _MOST:
            raise InvalidFilter(f"filters has {len(text):,} characters; the limit is {_MOST:,}", location=("filters",))
        self._tokens: list[str] = []
        at, text = 0, text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if not found:
                raise InvalidFilter(f"filters cannot be read at {text[at : at + 40]!r}", location=("filters",))
            self._tokens.append(found.group(1))
            at = found.end()
        self._tokens.append("")
        self._at = 0
        self._depth = 0
        self._leaves = leaves

    def read(self) -> Tree:
        """The whole of it."""
        tree = self._either()
        if self._next():
            raise self._wrong(f"unexpected {self._next()!r}")
        return tree

    def _either(self) -> Tree:
        parts = [self._all()]
        while self._next().upper() == "OR":
            self._at += 1
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else {"type": "or", "filters": parts}

    def _all(self) -> Tree:
        parts = [self._one()]
        while self._next().upper() == "AND":
            self._at += 1
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else {"type": "and", "filters": parts}

    def _one(self) -> Tree:
        token = self._take()
        if token.upper() == "NOT":
            return {"type": "not", "filter": self._one()}
        if token == "(":  # noqa: S105 - a parenthesis
            self._depth += 1
            if self._depth > 8:
                raise self._wrong("more than 8 levels of parentheses")
            tree = self._either()
            if self._take() != ")":
                raise self._wrong("a parenthesis is not closed")
            self._depth -= 1
            return tree
        if not token or token in (")", ":") or token in _OPERATORS:
            raise self._wrong(f"an attribute is missing before {token!r}")
        return self._condition(_unquoted(token))

    def _condition(self, key: str) -> Tree:
        operator = self._take()
        if operator in _OPERATORS:
            return self._leaves.equal(key, self._value(), _OPERATORS[operator])
        if operator != ":":
            raise self._wrong(f"after the attribute {key!r} comes a colon or a comparison")
        value = self._value()
        if self._next().upper() == "TO":
            self._at += 1
            return self._leaves.between(key, value, self._value())
        return self._leaves.equal(key, value, "eq")

    def _value(self) -> str:
        token = self._take()
        if not token or token in ("(", ")", ":") or token.upper() in _WORDS:
            raise self._wrong("a value is missing")
        value = _unquoted(token)
        while token[0] not in "\"'" and self._next() == ":":  # 2020-01-01T10:00:00 has colons
            self._at += 1
            value += f":{self._take()}"
        return value

    def _next(self) -> str:
        return self._tokens[self._at]

    def _take(self) -> str:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _wrong(self, what: str) -> InvalidFilter:
        return InvalidFilter(f"filters cannot be read: {what}", location=("filters",))


def _unquoted(token: str) -> str:
    if len(token) > 1 and token[0] in "\"'" and token[-1] == token[0]:
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    return token
