"""Names while they are typed: words, typos, and filters over an index of words."""

from __future__ import annotations

import random
from typing import Any

import pytest

from winnow.core.acl import DOCUMENT_FIELD
from winnow.core.filters import matches, parse_filter
from winnow.core.typed import typed_query, typos_allowed
from winnow.core.types import Comparison, FieldType, Filter, Not
from winnow.ports import FoundNames, NameEntry
from winnow.typeahead.tantivy_index import TantivyNames

FIELDS: dict[str, FieldType] = {
    "lang": "keyword",
    "year": "integer",
    "price": "float",
    "free": "boolean",
    "on": "datetime",
}


def entry(at: int, title: str, **metadata: Any) -> NameEntry:
    return NameEntry(f"p{at}", f"d{at}", 1, title, True, (), (), metadata, {})


def index_of(*titles: str) -> TantivyNames:
    index = TantivyNames()
    index.replace((), [entry(at, title) for at, title in enumerate(titles)])
    index.publish()
    return index


def test_other_wordings_count_a_little_less() -> None:
    index = index_of("Couch care", "Sofa", "Sofas", "Red couch")
    sofa, couch = typed_query("sofa"), typed_query("couch")
    assert sofa is not None
    assert couch is not None
    found = index.find([sofa, couch], None, limit=50, wanted=10, by_document=True)
    assert [each.name for each in found.names] == ["Sofa", "Sofas", "Couch care", "Red couch"]
    misspelled = typed_query("sofs")
    assert misspelled is not None
    found = index.find([misspelled, couch], None, limit=50, wanted=10, by_document=True)
    assert {each.name for each in found.names} == {"Sofa", "Sofas", "Couch care", "Red couch"}


def test_stop_words_of_ones_own_need_not_be_in_a_name() -> None:
    query = typed_query("Don't buy sofa please", ["please", "don't"])
    assert query is not None
    assert (query.words, set(query.others), query.is_open) == (("buy", "sofa"), {"don", "t", "please"}, False)
    only = typed_query("please", ["please"])
    assert only is not None
    assert only.words == ("please",), "a query of stop-words is looked for"


def test_a_filter_on_documents_is_exact() -> None:
    index = index_of("one", "two", "three")
    among = Comparison("in", DOCUMENT_FIELD, ["d0", "d2", "unknown"])
    for allowed, expected in ((among, {"one", "three"}), (Not(among), {"two"})):
        found = index.find([], allowed, limit=50, wanted=10, by_document=True)
        assert ({each.name for each in found.names}, found.matching, found.exact) == (expected, len(expected), True)


def find(index: TantivyNames, text: str, allowed: Filter | None = None) -> FoundNames:
    query = typed_query(text)
    assert query is not None
    return index.find([query], allowed, limit=500, wanted=10, by_document=True)


def names(index: TantivyNames, text: str) -> list[str]:
    return [each.name for each in find(index, text).names]


@pytest.mark.parametrize(
    ("word", "edits"), [("cat", 0), ("cats", 1), ("kittens", 1), ("elephant", 2), ("e0502", 0), ("404", 0), ("utf8", 0)]
)
def test_typos_by_letters(word: str, edits: int) -> None:
    assert typos_allowed(word) == edits


def test_a_title_that_begins_with_the_query_is_before_one_that_has_it() -> None:
    index = index_of("The asyncio guide", "asyncio.gather", "asyncio")
    assert names(index, "asyncio") == ["asyncio", "asyncio.gather", "The asyncio guide"]


def test_the_first_letter_counts_more() -> None:
    assert names(index_of("dog house", "bog house"), "bog hause")[0] == "bog house"
    assert names(index_of("cable", "fable"), "fablle")[0] == "fable"
    assert names(index_of("maker", "baker", "bakes"), "bakerr")[0] == "baker"


def test_typos_are_not_looked_for_where_a_name_begins_with_what_was_typed() -> None:
    index = index_of("Colour of text", "Colours", "Color picker")
    assert names(index, "colour of t") == ["Colour of text"]
    assert not find(index, "colour of t").forgiving
    assert set(names(index, "colur")) == {"Colours", "Colour of text", "Color picker"}
    assert names(index_of("How to colour", "Color picker"), "colour") == ["How to colour", "Color picker"]


def test_words_as_typed_are_before_words_with_typos() -> None:
    assert names(index_of("quiet", "quite"), "quite")[0] == "quite"


@pytest.mark.parametrize("typed", ["copyt", "shutil.copyt"])
def test_a_name_that_begins_as_typed_is_before_one_with_a_typo(typed: str) -> None:
    index = index_of("shutil.copy", "shutil.copy2", "shutil.copytree")
    assert names(index, typed)[0] == "shutil.copytree"


def test_numbers_are_meant_as_they_are_typed() -> None:
    index = index_of("Release notes 2024", "Release notes 2025", "Error E0502")
    assert names(index, "relaese notes 2025") == ["Release notes 2025"]
    assert names(index, "E0503") == []


def test_a_word_that_has_ended_does_not_go_on() -> None:
    index = index_of("Port forwarding", "Portability")
    assert names(index, "port") == ["Port forwarding", "Portability"]
    assert names(index, "port ")[0] == "Port forwarding"
    assert "Portability" not in names(index, "port ")


def test_what_is_replaced_is_gone() -> None:
    index = index_of("Astronomy")
    index.replace(["d0"], [entry(0, "Gardening")])
    assert names(index, "astronomy") == ["Astronomy"], "it is not published"
    index.publish()
    assert names(index, "astro") == []
    assert names(index, "garden") == ["Gardening"]
    index.replace(["d0"], ())
    index.publish()
    assert names(index, "garden") == []


def test_filters_let_all_pass_that_match_and_none_else_where_they_are_exact() -> None:
    chance = random.Random(11)
    values: dict[str, list[Any]] = {
        "lang": ["en", "de", "a\x1fb", ""],
        "year": [-1, 0, 1, 2**53 + 1, 2**62],
        "price": [0.5, 1.0, 3],
        "free": [True, False],
        "on": ["2020-01-01", "2020-01-01T00:00:00Z", "2021-05-05T10:00:00+02:00"],
    }

    def metadata() -> dict[str, Any]:
        keys = [key for key in values if chance.random() < 0.6]
        return {key: chance.choice([chance.choice(values[key]), chance.sample(values[key], 2)]) for key in keys}

    def tree(depth: int) -> dict[str, Any]:
        kind = chance.choice(["eq", "ne", "in", "nin", "exists", "gt", "lte", "and", "or", "not"] if depth else ["eq"])
        if kind in ("and", "or"):
            return {"type": kind, "filters": [tree(depth - 1) for _ in range(chance.randint(1, 3))]}
        if kind == "not":
            return {"type": kind, "filter": tree(depth - 1)}
        key = chance.choice(["year", "price", "on"] if kind in ("gt", "lte") else list(values))
        if kind == "exists":
            return {"type": kind, "key": key}
        several = chance.sample(values[key], 2)
        return {"type": kind, "key": key, "value": several if kind in ("in", "nin") else several[0]}

    documents = [metadata() for _ in range(150)]
    index = TantivyNames()
    index.replace((), [entry(at, f"chapter {at}", **each) for at, each in enumerate(documents)])
    index.publish()
    exact = 0
    for _ in range(300):
        allowed = parse_filter(tree(3), FIELDS)
        wanted = {f"d{at}" for at, each in enumerate(documents) if matches(allowed, each)}
        found = find(index, "chapter", allowed)
        passed = {each.document_id for each in found.names}
        assert wanted <= passed, allowed
        assert not found.exact or wanted == passed, allowed
        exact += found.exact
    assert exact > 50
