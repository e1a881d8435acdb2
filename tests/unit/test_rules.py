"""Rules: which act on a query, what they make of it, and which are refused."""

from __future__ import annotations

import pytest

from winnow.core.errors import InvalidRules
from winnow.core.rules import (
    QueryRule,
    RuleSet,
    StopWords,
    SynonymRule,
    check_rules,
    read_rules,
    replaced_rules,
    stored_rules,
)
from winnow.search.acting_rules import MAX_WORDINGS, acting_rules, hidden_while_typing, hides

FULL = RuleSet(
    (SynonymRule(("sofa", "couch", "chaise longue")), SynonymRule(source="js", to=("JavaScript",), language="en")),
    (QueryRule("Opening hours", ("b", "a"), "contains"), QueryRule("hours", ("c",))),
    (QueryRule("hours", ("d", "c")),),
    (StopWords(("the", "a")), StopWords(("der",), "de")),
)


@pytest.mark.parametrize(
    ("query", "language", "words"),
    [
        ("red sofa", None, "red sofa couch chaise longue"),
        ("Chaise-Longue, red", None, "Chaise-Longue, red sofa couch"),
        ("chaise", None, None),
        ("sofas", None, None),
        ("js loops", None, None),
        ("js loops", "en-GB", "js loops JavaScript"),
        ("JavaScript", "en", None),
        ("the color of a wall", None, "color of wall"),
        ("the", None, None),
        ("der Tisch", None, None),
        ("der Tisch", "de", "Tisch"),
        ("The Couch", None, "Couch sofa chaise longue"),
        ("?!", None, None),
        ("sofa " * 200, None, None),
    ],
)
def test_the_keyword_arm_looks_for_these_words(query: str, language: str | None, words: str | None) -> None:
    assert acting_rules(FULL, query, language).words == words


def test_a_stop_word_may_have_an_apostrophe_or_a_hyphen() -> None:
    rules = RuleSet(stop_words=(StopWords(("don't", "E-Mail")),))
    check_rules(rules)
    assert acting_rules(rules, "I don't get e-mail here").words == "I get here"
    assert acting_rules(rules, "don quixote").words is None


def test_of_thousands_of_rules_those_that_fit_act_in_their_order() -> None:
    pins = tuple(QueryRule(f"{at % 7} of {at}", (str(at),), "contains") for at in range(2000))
    more = (QueryRule("红色", ("red",), "contains"), QueryRule("9", ("nine",), "contains"))
    rules = RuleSet(pins=(*pins, *more))
    assert acting_rules(rules, "6 of 1000, or 0 of 1400, or 6 of 13").pins == ("13", "1000", "1400")
    assert acting_rules(rules, "大红色 9").pins == ("red", "nine")


def test_words_are_left_alone_where_no_words_are_looked_for() -> None:
    acting = acting_rules(FULL, "the sofa", by_words=False)
    assert (acting.words, acting.acted) == (None, ())


def test_phrases_of_scripts_without_spaces_are_found_inside() -> None:
    rules = RuleSet((SynonymRule(("沙发", "长椅")),))
    assert acting_rules(rules, "红色沙发多少钱").words == "红色沙发多少钱 长椅"


@pytest.mark.parametrize(
    ("query", "wordings"),
    [
        ("Red sofa", ("red couch", "red chaise longue")),
        ("a chaise longue", ("a sofa", "a couch")),
        ("sof", ()),
        (
            "js sofa",
            ("js couch", "js chaise longue", "javascript sofa", "javascript couch", "javascript chaise longue"),
        ),
    ],
)
def test_names_are_looked_for_with_synonyms_in_place_of_what_was_typed(query: str, wordings: tuple[str, ...]) -> None:
    assert acting_rules(FULL, query, "en").wordings == wordings


def test_wordings_of_scripts_without_spaces_and_their_number() -> None:
    assert acting_rules(RuleSet((SynonymRule(("沙发", "长椅")),)), "红色沙发").wordings == ("红色长椅",)
    many = [SynonymRule(tuple(f"{letter}{at}" for at in range(20))) for letter in "abc"]
    assert len(acting_rules(RuleSet(tuple(many)), "a0 b0 c0").wordings) == MAX_WORDINGS


def test_what_is_hidden_while_somebody_types() -> None:
    assert hidden_while_typing(FULL, "hou") == ("d", "c")
    assert hidden_while_typing(FULL, "hours") == ("d", "c")
    assert hidden_while_typing(FULL, "hours of") == hidden_while_typing(FULL, "?") == ()
    assert hides(FULL, "Hours", "d")
    assert not hides(FULL, "Hours", "a")
    assert not hides(FULL, "hours of", "d")


@pytest.mark.parametrize(
    ("query", "pins", "hidden"),
    [
        ("your OPENING hours today", ("b", "a"), ()),
        ("opening the hours", (), ()),
        ("Hours!", (), ("d", "c")),
        ("hours of", (), ()),
    ],
)
def test_documents_are_pinned_and_hidden_for_queries(
    query: str, pins: tuple[str, ...], hidden: tuple[str, ...]
) -> None:
    acting = acting_rules(FULL, query)
    assert (acting.pins, acting.hidden) == (pins, hidden), "a hidden document is not pinned"


def test_the_rules_that_acted_are_named() -> None:
    acting = acting_rules(FULL, "the sofa")
    assert list(acting.acted) == [
        {"kind": "stop_words", "words": ["the"]},
        {"kind": "synonym", "words": ["sofa"], "added": ["couch", "chaise longue"]},
    ]
    assert list(acting_rules(FULL, "hours").acted) == [{"kind": "hidden", "query": "hours", "match": "exact"}]


def test_rules_are_stored_and_counted() -> None:
    check_rules(FULL)
    kept = replaced_rules(FULL, FULL)
    assert kept.version == 1
    assert read_rules(stored_rules(kept)) == kept


@pytest.mark.parametrize(
    ("rules", "place", "message"),
    [
        (RuleSet((SynonymRule(("a",)),)), ("synonyms", 0), "two different"),
        (RuleSet((SynonymRule(("a", "A!")),)), ("synonyms", 0), "two different"),
        (RuleSet((SynonymRule(("a", "b"), "c", ("d",)),)), ("synonyms", 0), "either"),
        (RuleSet((SynonymRule(),)), ("synonyms", 0), "either"),
        (RuleSet((SynonymRule(source="a"),)), ("synonyms", 0, "to"), "one word"),
        (RuleSet((SynonymRule(("a", "?")),)), ("synonyms", 0, "words"), "no word"),
        (RuleSet((SynonymRule(("a", "b" * 201)),)), ("synonyms", 0, "words"), "limit"),
        (RuleSet((SynonymRule(tuple(map(str, range(51)))),)), ("synonyms", 0), "at most"),
        (RuleSet((SynonymRule(("a", "b"), language="x y"),)), ("synonyms", 0, "language"), "pt-BR"),
        (RuleSet(pins=(QueryRule("", ("a",)),)), ("pins", 0, "query"), "no word"),
        (RuleSet(pins=(QueryRule("a", ()),)), ("pins", 0, "documents"), "1 to"),
        (RuleSet(pins=(QueryRule("a", ("b", "b")),)), ("pins", 0, "documents"), "twice"),
        (RuleSet(hidden=(QueryRule("a", ("b", "")),)), ("hidden", 0, "documents", 1), "id"),
        (RuleSet(stop_words=(StopWords(("a b",)),)), ("stop_words", 0), "several"),
        (RuleSet(stop_words=(StopWords(()),)), ("stop_words", 0), "one word"),
        (RuleSet(pins=(QueryRule("a", ("b",)),) * 5_001), ("pins",), "at most"),
        (RuleSet(pins=(QueryRule("a", tuple(f"{at:0500}" for at in range(100))),) * 21), (), "characters"),
    ],
)
def test_rules_that_cannot_act_are_refused_with_their_place(rules: RuleSet, place: tuple, message: str) -> None:
    with pytest.raises(InvalidRules, match=message) as caught:
        check_rules(rules)
    assert tuple(caught.value.location or ()) == place
