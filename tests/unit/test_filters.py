"""The filter tree: what is accepted, what is refused and where, and what matches."""

from __future__ import annotations

import pytest

from winnow.core.errors import InvalidFilter
from winnow.core.filters import MAX_LEAVES, matches, parse_filter
from winnow.core.types import FieldType

FIELDS: dict[str, FieldType] = {
    "lang": "keyword",
    "year": "integer",
    "price": "float",
    "published": "datetime",
    "public": "boolean",
}
DOCUMENT = {"lang": ["en", "de"], "year": 2021, "price": 9.5, "published": "2021-05-01T10:00:00+02:00", "public": True}


def leaf(kind: str, key: str, value: object) -> dict[str, object]:
    return {"type": kind, "key": key, "value": value}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (leaf("eq", "lang", "en"), True),
        (leaf("ne", "lang", "en"), False),
        (leaf("in", "lang", ["fr", "de"]), True),
        (leaf("nin", "lang", ["fr"]), True),
        (leaf("gte", "year", 2021), True),
        (leaf("lt", "year", 2021), False),
        (leaf("gt", "price", 9), True),
        (leaf("eq", "public", True), True),
        (leaf("eq", "published", "2021-05-01T08:00:00Z"), True),
        (leaf("lte", "published", "2021-05-01"), False),
        ({"type": "exists", "key": "year"}, True),
        ({"type": "not", "filter": leaf("eq", "year", 2021)}, False),
        ({"type": "and", "filters": [leaf("eq", "lang", "en"), leaf("lt", "year", 2000)]}, False),
        ({"type": "or", "filters": [leaf("eq", "lang", "fr"), leaf("gt", "year", 2000)]}, True),
    ],
)
def test_a_filter_matches_as_it_reads(raw: object, expected: bool) -> None:
    assert matches(parse_filter(raw, FIELDS), DOCUMENT) is expected


@pytest.mark.parametrize("op", ["eq", "gt", "in"])
def test_a_time_finer_than_microseconds_is_refused(op: str) -> None:
    def value(text: str) -> object:
        return [text] if op == "in" else text

    parse_filter(leaf(op, "published", value("2021-05-01T10:00:00.123456000Z")), FIELDS)
    with pytest.raises(InvalidFilter, match="microseconds"):
        parse_filter(leaf(op, "published", value("2021-05-01T10:00:00.123456001Z")), FIELDS)


def test_a_missing_key_counts_as_unequal_and_as_absent() -> None:
    assert matches(parse_filter(leaf("ne", "lang", "en"), FIELDS), {})
    assert matches(parse_filter(leaf("nin", "year", [1]), FIELDS), {"year": None})
    assert not matches(parse_filter({"type": "exists", "key": "year"}, FIELDS), {"year": None})
    assert not matches(parse_filter(leaf("lt", "year", 3000), FIELDS), {})


def test_keywords_that_look_like_dates_are_compared_as_text() -> None:
    assert not matches(parse_filter(leaf("eq", "lang", "20210101"), FIELDS), {"lang": "2021-01-01"})


@pytest.mark.parametrize(
    ("raw", "location", "says"),
    [
        ("lang = en", ("filter",), "object"),
        ({"type": "like", "key": "lang"}, ("filter", "type"), "unknown filter type"),
        (leaf("eq", "colour", "red"), ("filter", "key"), "not a declared field"),
        (leaf("eq", "year", "2021"), ("filter", "value"), "type integer"),
        (leaf("eq", "year", True), ("filter", "value"), "type integer"),
        (leaf("eq", "price", float("nan")), ("filter", "value"), "type float"),
        (leaf("gt", "lang", "en"), ("filter", "type"), "ordered field"),
        (leaf("in", "year", []), ("filter", "value"), "list of 1 to"),
        (leaf("in", "year", [1, "2"]), ("filter", "value", 1), "type integer"),
        ({"type": "and", "filters": []}, ("filter", "filters"), "non-empty"),
        ({"type": "and", "filters": [leaf("eq", "nope", 1)]}, ("filter", "filters", 0, "key"), "not a declared field"),
        ({"type": "eq", "key": "year", "value": 1, "extra": 2}, ("filter",), "extra"),
    ],
)
def test_a_bad_filter_names_the_place(raw: object, location: tuple[object, ...], says: str) -> None:
    with pytest.raises(InvalidFilter, match=says) as caught:
        parse_filter(raw, FIELDS)
    assert caught.value.location == location


def test_depth_and_size_are_bounded() -> None:
    deep: dict[str, object] = leaf("eq", "year", 1)
    for _ in range(8):
        deep = {"type": "not", "filter": deep}
    with pytest.raises(InvalidFilter, match="8 deep"):
        parse_filter(deep, FIELDS)
    wide = {"type": "or", "filters": [leaf("eq", "year", i) for i in range(MAX_LEAVES + 1)]}
    with pytest.raises(InvalidFilter, match="at most 256"):
        parse_filter(wide, FIELDS)
