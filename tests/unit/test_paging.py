"""Pages of a search: the same order as one long list, nothing twice and nothing missed while documents change."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from tests.support.house import House
from winnow.core.errors import CursorExpired, InvalidQuery
from winnow.core.paging import Cursor, first_cursor, later_cursor, read_cursor, result_key
from winnow.core.principal import LOCAL, Principal
from winnow.core.search import RerankOptions, SearchAnswer, SearchRequest
from winnow.core.settings import load_settings
from winnow.core.types import Document
from winnow.operations.one_search import search_one
from winnow.operations.resources import Resources
from winnow.search.embedders import Embedders
from winnow.search.lookup import CollectionLookup
from winnow.search.two_stage import TwoStageSearch
from winnow.testing.contracts.points import WORDS


class Pages:
    """A service's search over the house, page by page."""

    def __init__(self, house: House) -> None:
        self.house = house
        lookup = CollectionLookup(house.catalog.collections)
        embedders = Embedders(house.embedder, keyword_tokenizer=house.store.keyword_tokenizer)
        search = TwoStageSearch(embedders, house.store, lookup, house.reranker, house.search_settings)
        settings = load_settings(data_dir=house.folder)
        self.resources: Any = Resources(
            settings,
            embedders,
            house.reranker,
            house.store,
            house.catalog,
            lookup,
            search,
            files=None,  # type: ignore[arg-type]
            names=None,  # type: ignore[arg-type]
        )

    async def ask(self, query: str = "amber birch", principal: Principal = LOCAL, **changes: Any) -> SearchAnswer:
        return await search_one(self.resources, principal, SearchRequest("c", query, **changes))

    async def all(self, **changes: Any) -> list[SearchAnswer]:
        """Every page."""
        pages = [await self.ask(**changes)]
        while (cursor := pages[-1].next) is not None:
            pages.append(await self.ask(cursor=cursor, **changes))
        return pages


@pytest.fixture
def pages(house: House) -> Pages:
    return Pages(house)


def some_document(rng: random.Random, number: int) -> Document:
    return Document(f"d{number}", " ".join(["amber", *rng.choices(WORDS, k=5), str(rng.randrange(100))]))


def ids(answers: list[SearchAnswer]) -> list[str]:
    return [each.candidate.document_id for answer in answers for each in answer.results]


async def fill(house: House, count: int, seed: int = 1) -> None:
    rng = random.Random(seed)
    await house.submit(*(some_document(rng, number) for number in range(count)))
    await house.work()


async def test_pages_go_on_where_the_one_before_ended(pages: Pages) -> None:
    await fill(pages.house, 130)
    for options in (
        {},
        {"rerank": RerankOptions(top_k=20)},
        {"rerank": RerankOptions(enabled=False)},
        {"mode": "sparse"},
        {"mode": "dense"},
        {"group_by": "chunk"},
    ):
        found = await pages.all(top_n=10, top_k=40, **options)
        long = await pages.resources.search.run(
            SearchRequest("c", "amber birch", top_n=10, top_k=40, **options), LOCAL, everything=True
        )
        assert ids(found) == [each.candidate.document_id for each in long.results], options
        assert len(ids(found)) == len(set(ids(found))) == 130, options
        assert [each.rank for answer in found for each in answer.results] == list(range(1, 131))
        scores = [
            (each.relevance_score, each.rerank, each.candidate.dense, each.candidate.sparse)
            for answer in found[1:]
            for each in answer.results
        ]
        assert scores == [
            (each.relevance_score, each.rerank, each.candidate.dense, each.candidate.sparse)
            for each in long.results[10:]
        ]


async def test_the_first_page_is_the_same_as_without_pages_and_next_is_null_at_the_end(pages: Pages) -> None:
    await fill(pages.house, 12)
    assert (await pages.ask(top_n=12)).next is None
    assert (await pages.ask(top_n=100)).next is None
    first = await pages.ask(top_n=5)
    second = await pages.ask(top_n=5, cursor=first.next)
    third = await pages.ask(top_n=5, cursor=second.next)
    assert [len(each.results) for each in (first, second, third)] == [5, 5, 2]
    assert third.next is None
    assert ids([first]) == ids([await pages.ask(top_n=5, top_k=50)])


async def test_all_matches_are_paged_whatever_top_k_is(pages: Pages) -> None:
    await fill(pages.house, 60)
    assert len(set(ids(await pages.all(top_n=7, top_k=7)))) == 60


async def test_a_thousand_results_are_the_most(pages: Pages) -> None:
    await fill(pages.house, 1100)
    found = ids(await pages.all(top_n=100, rerank=RerankOptions(enabled=False)))
    assert len(found) == len(set(found)) == 1000


async def test_a_threshold_ends_the_pages_with_what_the_second_stage_scored(pages: Pages) -> None:
    await fill(pages.house, 60)
    found = await pages.all(top_n=5, rerank=RerankOptions(top_k=20), min_relevance=0.0)
    assert len(set(ids(found))) == 20


@pytest.mark.parametrize("mode", ["hybrid", "sparse"])
async def test_nothing_is_twice_and_nothing_missed_while_documents_change(pages: Pages, mode: Any) -> None:
    """Documents come, go and change between all pages; those that were there all the time are found once each."""
    house, rng = pages.house, random.Random(7)
    await fill(house, 400)
    stable = {f"d{number}" for number in range(300)}
    found: list[SearchAnswer] = []
    cursor, number = None, 400
    while True:
        answer = await pages.ask(mode=mode, top_n=20, top_k=50, cursor=cursor)
        found.append(answer)
        cursor = answer.next
        if cursor is None:
            break
        new = [some_document(rng, number + each) for each in range(30)]
        number += 30
        changed = [some_document(rng, rng.randrange(200, 300)) for _ in range(1)]
        await house.submit(*new, *changed)
        await house.catalog.documents.tombstone("c", [f"d{rng.randrange(300, number)}" for _ in range(19)])
        await house.work()
    assert len(found) > 15
    seen = ids(found)
    assert len(seen) == len(set(seen))
    assert stable <= set(seen)


async def test_a_cursor_continues_its_own_request_alone(pages: Pages) -> None:
    await fill(pages.house, 40)
    first = await pages.ask(top_n=5)
    second = await pages.ask(top_n=8, cursor=first.next, highlight=False)
    for cursor in (first.next, second.next):
        for changes in (
            {"query": "amber"},
            {"top_k": 99},
            {"mode": "sparse"},
            {"rerank": RerankOptions(enabled=False)},
            {"min_relevance": 0.1},
            {"group_by": "chunk"},
        ):
            with pytest.raises(InvalidQuery, match="continues another request"):
                await pages.ask(**{"top_n": 5, "cursor": cursor, **changes})
        other = replace(LOCAL, locked_filter={"type": "exists", "key": "lang"})
        with pytest.raises(InvalidQuery, match="continues another request"):
            await pages.ask(top_n=5, cursor=cursor, principal=other)


async def test_an_expired_cursor_says_so(pages: Pages) -> None:
    await fill(pages.house, 40)
    second = await pages.ask(top_n=5, cursor=(await pages.ask(top_n=5)).next)
    pages.house.clock.advance(24 * 3600 * 365 * 100)
    with pytest.raises(CursorExpired, match="15 minutes; begin with the first page"):
        await pages.ask(top_n=5, cursor=second.next)


@pytest.mark.parametrize("text", ["", "x", "AAAA", "ä", "!" * 20, "AX" * 3000])
def test_a_broken_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery, match="not whole"):
        read_cursor(text)


def test_cursors_are_read_as_they_were_written() -> None:
    keys = [result_key("a", None), result_key("a", 1)]
    assert read_cursor(first_cursor(b"d" * 12, keys)) == Cursor(b"d" * 12, frozenset(keys))
    assert read_cursor(later_cursor(b"d" * 12, "list_1", 990)) == Cursor(b"d" * 12, frozenset(), "list_1", 990)
