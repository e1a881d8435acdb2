"""Filters over an index of words: each value of a document's metadata is a term, and a filter asks for terms.

Equality and existence are terms. An order between values is not: of a range it is asked whether the field has a value
at all, which lets more documents pass than the filter, and the caller looks again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, assert_never

from tantivy import Occur, Query, Schema

from winnow.core.acl import DOCUMENT_FIELD
from winnow.core.filters import values_of
from winnow.core.types import And, Comparison, Exists, Filter, JsonValue, Metadata, Not, Or

FACTS: Final = "facts"
DOCUMENT: Final = "document"

_EXACT_FLOATS: Final = 2**53  # beyond, two integers may be one float
_LONGEST: Final = 512


def facts_of(metadata: Metadata) -> Iterator[str]:
    """The terms of a document's metadata."""
    for key, value in metadata.items():
        values = values_of(value)
        if values:
            yield _has(key)
        for item in values:
            term = _term(key, item)
            if term is not None:
                yield term


def condition_of(schema: Schema, filter: Filter) -> tuple[Query, bool]:
    """The query for a filter, and whether it lets exactly those documents pass that the filter does."""
    match filter:
        case Comparison():
            return _compared(schema, filter)
        case Exists(key):
            return Query.term_query(schema, FACTS, _has(key)), True
        case Not(part):
            return _without(*condition_of(schema, part))
        case And(parts):
            found = [condition_of(schema, part) for part in parts]
            clauses = [(Occur.Must, Query.all_query()), *((Occur.Must, query) for query, _ in found)]
            return Query.boolean_query(clauses), all(exact for _, exact in found)
        case Or(parts):
            found = [condition_of(schema, part) for part in parts]
            either = [(Occur.Should, query) for query, _ in found] or [(Occur.Should, Query.empty_query())]
            return Query.boolean_query(either), all(exact for _, exact in found)
        case _:
            assert_never(filter)


def _compared(schema: Schema, comparison: Comparison) -> tuple[Query, bool]:
    key, value = comparison.key, comparison.value
    match comparison.op:
        case "eq":
            return _any_of(schema, key, [value])
        case "in":
            return _any_of(schema, key, value)
        case "ne":
            return _without(*_any_of(schema, key, [value]))
        case "nin":
            return _without(*_any_of(schema, key, value))
        case "gt" | "gte" | "lt" | "lte":
            return Query.term_query(schema, FACTS, _has(key)), False
        case _:
            assert_never(comparison.op)


def _any_of(schema: Schema, key: str, values: list[JsonValue]) -> tuple[Query, bool]:
    if key == DOCUMENT_FIELD:
        return Query.term_set_query(schema, DOCUMENT, values), True
    terms = [_term(key, value) for value in values]
    if any(term is None for term in terms):
        return Query.term_query(schema, FACTS, _has(key)), False
    if len(terms) == 1:
        return Query.term_query(schema, FACTS, terms[0]), True
    return Query.term_set_query(schema, FACTS, terms), True


def _without(query: Query, exact: bool) -> tuple[Query, bool]:
    if not exact:
        return Query.all_query(), False
    return Query.boolean_query([(Occur.Must, Query.all_query()), (Occur.MustNot, query)]), True


def _has(key: str) -> str:
    return f"{key[:_LONGEST]}\x1f"


def _term(key: str, value: object) -> str | None:
    """The term of a value; ``None`` where equality is not that of terms (moments, long texts, large numbers)."""
    if isinstance(value, bool):
        return f"{key[:_LONGEST]}\x1fb{value:d}"
    if isinstance(value, int | float) and abs(value) < _EXACT_FLOATS:
        return f"{key[:_LONGEST]}\x1fn{float(value)!r}"
    if isinstance(value, str) and len(value) <= _LONGEST:
        return f"{key[:_LONGEST]}\x1fs{value}"
    return None
