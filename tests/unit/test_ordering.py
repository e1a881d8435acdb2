"""Orders of results other than by score."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.test_paging import Pages, ids, pages  # noqa: F401 - the fixture
from winnow.core.errors import InvalidQuery
from winnow.core.ordering import MaxPer, Ordering, SortKey
from winnow.core.search import ArmScore, Candidate, Result
from winnow.core.types import Chunk, Document, FieldType
from winnow.search.arrangement import diversified, limited, sorted_by

FIELDS: dict[str, FieldType] = {"lang": "keyword", "year": "integer", "at": "datetime", "ok": "boolean"}


def results(*metadata: dict[str, Any], scores: list[float | None] | None = None) -> list[Result]:
    made = []
    for number, values in enumerate(metadata):
        candidate = Candidate(
            f"p{number}", f"d{number}", 1, Chunk(0, 0, 1, "x"), "", "", values, None, None, ArmScore(number + 1, 0.5)
        )
        made.append(Result(number + 1, candidate, None if scores is None else scores[number], None))
    return made


def order(found: list[Result]) -> str:
    return "".join(each.candidate.document_id[1:] for each in found)


def test_documents_without_a_value_come_last_and_ties_stay() -> None:
    found = results({"year": 3}, {}, {"year": [1, 9]}, {"year": 3}, {"year": "no"})
    assert order(sorted_by(found, [SortKey("year")], FIELDS)) == "20314"
    assert order(sorted_by(found, [SortKey("year", "desc")], FIELDS)) == "20314"
    found = results({"year": 3, "lang": "b"}, {"year": 1, "lang": "a"}, {"year": 3, "lang": "a"}, {"year": 3})
    assert order(sorted_by(found, [SortKey("year", "desc"), SortKey("lang")], FIELDS)) == "2031"
    moments = results({"at": "2024-01-01T01:00:00+02:00"}, {"at": "2023-12-31"}, {"at": "2024-01-01"})
    assert order(sorted_by(moments, [SortKey("at", "desc")], FIELDS)) == "201"
    assert order(sorted_by(results({"ok": True}, {"ok": False}), [SortKey("ok")], FIELDS)) == "10"


def test_the_number_of_results_with_one_value_is_limited() -> None:
    found = results({"lang": "a"}, {"lang": "a"}, {}, {"lang": ["a", "b"]}, {"lang": "b"}, {}, {"lang": "a"})
    assert order(limited(found, MaxPer("lang", 1), "keyword")) == "0245"
    assert order(limited(found, MaxPer("lang", 2), "keyword")) == "01245"


def test_marginal_relevance_prefers_what_is_new() -> None:
    found = results({}, {}, {}, {}, scores=[0.9, 0.8, 0.5, None])
    one, other = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    vectors = {"p0": one, "p1": one, "p2": other, "p3": other}
    assert order(diversified(found, vectors, "relevance", 0.0)) == "0123"
    assert order(diversified(found, vectors, "relevance", 0.5)) == "0213"
    assert order(diversified(found, {}, "relevance", 0.5)) == "0123"
    assert order(diversified(results({}), {}, "relevance", 0.5)) == "0"


async def filled(pages: Pages) -> None:  # noqa: F811
    house = pages.house
    await house.catalog.collections.update(_with_fields(house.collection))
    await house.store.create(house.index, house.collection.serving.schema(FIELDS))
    pages.resources.collections.forget("c")
    documents = [
        Document(f"d{number}", f"amber {number}", metadata={"year": number * 7 % 50, "lang": "ab"[number % 2]})
        for number in range(60)
    ]
    await house.submit(*documents)
    await house.work()


def _with_fields(collection: Any) -> Any:
    return replace(collection, fields=FIELDS)


async def test_all_pages_together_are_in_the_order_that_is_asked_for(pages: Pages) -> None:  # noqa: F811
    await filled(pages)
    found = await pages.all(top_n=7, top_k=20, ordering=Ordering(sort=(SortKey("year", "desc"),)))
    years = [each.candidate.metadata["year"] for answer in found for each in answer.results]
    assert years == sorted(years, reverse=True)
    assert len(set(ids(found))) == 60
    assert [each.rank for answer in found for each in answer.results] == list(range(1, 61))
    few = await pages.all(top_n=7, ordering=Ordering(max_per=MaxPer("lang", 5), sort=(SortKey("year"),)))
    assert len(ids(few)) == 10
    diverse = await pages.all(top_n=7, ordering=Ordering(mmr=0.3))
    assert len(set(ids(diverse))) == 60


async def test_with_a_threshold_results_above_it_are_sorted(pages: Pages) -> None:  # noqa: F811
    await filled(pages)
    plain = await pages.ask(top_n=50, min_relevance=0.5)
    found = await pages.all(top_n=7, min_relevance=0.5, ordering=Ordering(sort=(SortKey("year"),)))
    assert set(ids(found)) == set(ids([plain]))
    scores = {each.candidate.document_id: each.relevance_score for each in plain.results}
    assert all(scores[each.candidate.document_id] == each.relevance_score for each in found[0].results)


@pytest.mark.parametrize("ordering", [Ordering(sort=(SortKey("colour"),)), Ordering(max_per=MaxPer("colour", 1))])
async def test_an_undeclared_field_is_named(pages: Pages, ordering: Ordering) -> None:  # noqa: F811
    await filled(pages)
    with pytest.raises(InvalidQuery, match="'colour' is not a declared field"):
        await pages.ask(ordering=ordering)
