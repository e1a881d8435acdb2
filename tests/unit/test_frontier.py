"""Where claims begin while the head of the queue is costly to walk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.catalogs import new_catalog
from tests.contracts.catalog_data import LEASE, FakeClock, SlowClock, doc, ids, make_collection, success
from winnow.catalog.rules.frontier import COLLECTIONS, Frontier
from winnow.ports import Catalog, Outcome

NOW = FakeClock().now


def seconds(number: float) -> datetime:
    return NOW + timedelta(seconds=number)


def test_every_claim_walks_from_the_head_while_that_is_cheap() -> None:
    frontier = Frontier()
    assert frontier.may_walk(NOW)
    frontier.walked(NOW, seconds(0.01))
    assert frontier.may_walk(seconds(0.01))


def test_a_costly_walk_is_not_repeated_for_two_hundred_times_its_length() -> None:
    frontier = Frontier()
    frontier.walked(NOW, seconds(0.1))
    assert not frontier.may_walk(seconds(20))
    assert frontier.may_walk(seconds(20.1))


def test_one_that_found_nothing_else_walks_sooner() -> None:
    frontier = Frontier()
    frontier.walked(NOW, seconds(0.1))
    assert not frontier.may_walk(seconds(2), idle=True)
    assert frontier.may_walk(seconds(2.1), idle=True)


def test_a_walk_is_due_after_a_minute_however_long_the_last_one_took() -> None:
    frontier = Frontier()
    frontier.walked(NOW, seconds(10))
    assert frontier.may_walk(seconds(70))


def test_a_cheap_walk_ends_the_use_of_positions() -> None:
    frontier = Frontier()
    frontier.walked(NOW, seconds(0.1))
    frontier.walked(seconds(30), seconds(30))
    assert frontier.may_walk(seconds(30))


def test_positions_are_those_of_the_collections_served_last() -> None:
    frontier = Frontier()
    for number in range(COLLECTIONS + 1):
        frontier.reached(str(number), 0, (NOW, "a"))
    assert "0" not in frontier.positions()
    assert len(frontier.positions()) == COLLECTIONS


@pytest.fixture
async def docs(tmp_path: Path) -> AsyncIterator[Catalog]:
    """A catalog whose claims begin at positions from the second one on."""
    catalog = new_catalog(tmp_path, SlowClock())
    await catalog.collections.create(make_collection())
    yield catalog
    await catalog.close()


async def take(catalog: Catalog, limit: int = 2) -> list[str]:
    return ids(await catalog.queue.claim("worker", limit=limit, lease_seconds=LEASE))


async def test_claims_from_positions_take_the_same_order(docs: Catalog) -> None:
    await docs.documents.submit("docs", [doc(f"bulk-{number}") for number in range(5)])
    assert await take(docs) == ["bulk-0", "bulk-1"]
    await docs.documents.submit("docs", [doc("urgent-0"), doc("urgent-1"), doc("urgent-2")], priority=10)
    assert await take(docs) == ["urgent-0", "urgent-1"]
    assert await take(docs) == ["urgent-2", "bulk-2"]  # a lower priority fills the batch up, from its own position
    await docs.documents.submit("docs", [doc("late")], priority=-10)
    assert await take(docs, 1) == ["late"]  # the turn of the lower priority
    assert await take(docs, 9) == ["bulk-3", "bulk-4"]
    assert await take(docs) == []


async def test_a_new_collection_is_found_beside_positions(docs: Catalog) -> None:
    await docs.documents.submit("docs", [doc("a"), doc("b"), doc("c"), doc("d")])
    assert await take(docs) == ["a", "b"]
    await docs.collections.create(make_collection("new"))
    await docs.documents.submit("new", [doc("x")])
    assert {*await take(docs), *await take(docs)} == {"x", "c", "d"}


async def test_what_is_due_again_before_a_position_waits_for_the_next_walk(docs: Catalog) -> None:
    clock = docs.queue.clock  # type: ignore[attr-defined]
    await docs.documents.submit("docs", [doc("a"), doc("b"), doc("c")])
    first, _ = await docs.queue.claim("worker", limit=2, lease_seconds=LEASE)
    await docs.queue.commit([Outcome(first, error="busy", retry_in=0)])
    assert await take(docs, 1) == ["c"]
    assert await take(docs) == []
    clock.advance(15)
    (again,) = await docs.queue.claim("worker", limit=2, lease_seconds=LEASE)
    assert again.document.id == "a"
    assert await docs.queue.commit([success(again)]) == [True]
