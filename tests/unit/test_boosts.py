"""Boosts: strengths, the order that they make, and the pages that they hold on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.test_ordering import FIELDS, filled, order, results
from tests.unit.test_paging import Pages, ids, pages  # noqa: F401 - the fixture
from winnow.core.boosts import AmountBoost, Boost, NearBoost, ValueBoost, check_boosts, strength_of
from winnow.core.errors import InvalidQuery
from winnow.core.ordering import Ordering
from winnow.core.search import ArmScore, Result
from winnow.core.types import FieldType
from winnow.search.boosting import boosted

NOW = datetime(2024, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("boost", "kind", "value", "strength"),
    [
        (ValueBoost("k", 1, ("en", "de")), "keyword", "de", 1),
        (ValueBoost("k", 1, ("en",)), "keyword", ["fr", "en"], 1),
        (ValueBoost("k", 1, ("en",)), "keyword", "fr", 0),
        (ValueBoost("k", 1, (True,)), "boolean", True, 1),
        (ValueBoost("k", 1, ("2024-01-01T01:00:00+01:00",)), "datetime", "2024-01-01", 1),
        (NearBoost("k", 1, 10), "datetime", "2024-01-01", 0.5),
        (NearBoost("k", 1, 10), "datetime", "2024-01-11T00:00:00Z", 1),
        (NearBoost("k", 1, 10), "datetime", ["2023-01-01", "2024-01-21"], 0.5),
        (NearBoost("k", 1, 10), "datetime", "2000-01-01", 0),
        (NearBoost("k", 1, 5, "2024-01-01"), "datetime", "2024-01-11", 0.25),
        (NearBoost("k", 1, 2, 2020), "integer", 2016, 0.25),
        (NearBoost("k", 1, 2, 0.5), "float", 0.5, 1),
        (AmountBoost("k", 1, 100), "integer", 300, 0.75),
        (AmountBoost("k", 1, 100), "float", [-5, 100.0], 0.5),
        (AmountBoost("k", 1, 100), "integer", -100, 0),
        (AmountBoost("k", 1, 100), "integer", "100", 0),
        (NearBoost("k", 1, 10), "datetime", None, 0),
    ],
)
def test_strengths(boost: Boost, kind: FieldType, value: Any, strength: float) -> None:
    assert strength_of(boost, {"k": value}, kind, NOW) == pytest.approx(strength, abs=1e-6)


def boost_all(found: list[Result], *boosts: Boost, kind: Any = "relevance", window: int = 100) -> list[Result]:
    return boosted(found, boosts, FIELDS, kind=kind, window=window, now=NOW)


def test_scores_are_multiplied_and_stay_as_they_are() -> None:
    found = results({}, {"lang": "a"}, {"lang": "a", "ok": True}, {"lang": "b"}, scores=[0.8, 0.6, 0.5, 0.4])
    better = boost_all(found, ValueBoost("lang", 0.5, ("a",)), ValueBoost("ok", 0.5, (True,)))
    assert order(better) == "2103"
    assert [each.relevance_score for each in better] == [0.5, 0.6, 0.8, 0.4]
    assert [each.boost and (each.boost.rank, each.boost.score, each.boost.factor) for each in better] == [
        (1, 1.0, 2.0),
        (2, pytest.approx(0.9), 1.5),
        (3, 0.8, 1.0),
        (4, 0.4, 1.0),
    ]
    assert better[0].boost is not None
    assert [tuple(each) for each in better[0].boost.parts] == [("lang", 1.0, 0.5), ("ok", 1.0, 0.5)]


def test_a_negative_weight_puts_down_and_never_below_nothing() -> None:
    found = results({"lang": "a"}, {"lang": "b"}, scores=[0.9, 0.5])
    down = boost_all(found, ValueBoost("lang", -1, ("a",)), ValueBoost("lang", -1, ("a",)))
    assert order(down) == "10"
    assert down[1].boost is not None
    assert (down[1].boost.score, down[1].boost.factor) == (0, 0)


def test_exact_results_and_those_with_better_evidence_stay_before_others() -> None:
    found = results({}, {}, {"ok": True}, {"ok": True}, {"ok": True}, scores=[0.3, 0.6, 0.5, None, None])
    found[0] = found[0]._replace(candidate=found[0].candidate._replace(level=12))
    found[4] = found[4]._replace(candidate=found[4].candidate._replace(fused=ArmScore(5, 0.99)))
    assert order(boost_all(found, ValueBoost("ok", 10, (True,)), window=4)) == "02134"
    assert order(boost_all(found, ValueBoost("ok", 0.1, (True,)), window=5)) == "01243"
    unscored = [each._replace(relevance_score=None) for each in found[1:]]
    assert order(boost_all(unscored, ValueBoost("ok", 0.1, (True,)), kind="retrieval")) == "4231"


@pytest.mark.parametrize(
    ("boost", "place"),
    [
        (ValueBoost("colour", 1, ("red",)), ("boosts", 0, "key")),
        (ValueBoost("lang", 1, ("a", 1)), ("boosts", 0, "values", 1)),
        (ValueBoost("year", 1, (True,)), ("boosts", 0, "values", 0)),
        (NearBoost("lang", 1, 1), ("boosts", 0, "half_life")),
        (NearBoost("year", 1, 1), ("boosts", 0, "origin")),
        (NearBoost("at", 1, 1, 2020), ("boosts", 0, "origin")),
        (NearBoost("year", 1, 1, "2020"), ("boosts", 0, "origin")),
        (AmountBoost("at", 1, 1), ("boosts", 0, "pivot")),
    ],
)
def test_what_does_not_suit_its_field_is_refused(boost: Boost, place: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidQuery) as error:
        check_boosts((boost,), FIELDS)
    assert error.value.location == place


async def test_all_pages_are_in_boosted_order_and_show_it(pages: Pages) -> None:  # noqa: F811
    await filled(pages)
    plain = {each.candidate.document_id: each for page in await pages.all(top_n=7) for each in page.results}
    boosts = (NearBoost("year", 2.0, 10, 20), ValueBoost("lang", -0.5, ("a",)))
    found = [each for page in await pages.all(top_n=7, ordering=Ordering(boosts)) for each in page.results]
    assert len({each.candidate.document_id for each in found}) == len(plain) == 60
    assert [each.rank for each in found] == [each.boost and each.boost.rank for each in found] == list(range(1, 61))
    assert all(each.relevance_score == plain[each.candidate.document_id].relevance_score for each in found)
    for each in found:
        assert each.boost is not None
        own = each.candidate.fused.score if each.relevance_score is None else each.relevance_score
        assert each.boost.score == own * each.boost.factor
    scored = [each.boost.score for each in found if each.boost and each.relevance_score is not None]
    assert scored == sorted(scored, reverse=True)
    assert ids(await pages.all(top_n=7, ordering=Ordering(boosts))) == [each.candidate.document_id for each in found]


async def test_diversity_weighs_boosted_scores(pages: Pages) -> None:  # noqa: F811
    await filled(pages)
    first = (await pages.ask(top_n=1)).results[0].candidate.metadata["year"]
    boosts = (ValueBoost("year", 10, ((first + 7) % 50,)),)
    found = await pages.ask(top_n=1, ordering=Ordering(boosts, mmr=0.5))
    assert found.results[0].candidate.metadata["year"] == (first + 7) % 50
