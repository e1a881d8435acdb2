"""The desk of a bulk job: how much is under way, what an embedder had in hand, and when to stop."""

from __future__ import annotations

import asyncio

import pytest

from indexer.bulk.desk import FORGOTTEN_SECONDS, Desk
from indexer.bulk.known import KnownEmbedder
from tests.ticks import Ticks
from winnow.core.errors import InvalidSettings, UpstreamUnavailable
from winnow.testing.models import FakeEmbedder


@pytest.fixture
def ticks() -> Ticks:
    return Ticks(0.0)


@pytest.fixture
def desk(ticks: Ticks) -> Desk:
    return Desk(2, clock=ticks)


async def test_no_more_than_the_limit_is_admitted_until_something_leaves(desk: Desk) -> None:
    for number in ("a", "b"):
        assert await desk.admit()
        await desk.enter(number, 0)
    waiting = asyncio.create_task(desk.admit())
    await asyncio.sleep(0)
    assert not waiting.done()
    await desk.leave("a")
    assert await waiting


async def test_whoever_waits_for_room_hears_of_the_end(desk: Desk) -> None:
    await desk.enter("a", 0)
    await desk.enter("b", 0)
    waiting = asyncio.create_task(desk.admit())
    await asyncio.sleep(0)
    await desk.end()
    assert not await waiting
    assert not await desk.admit()


async def test_a_batch_is_begun_once(desk: Desk) -> None:
    await desk.enter("a", 0)
    assert await desk.begin("a")
    assert not await desk.begin("a")
    await desk.leave("a")
    await desk.enter("a", 0)
    assert await desk.begin("a")


async def test_a_source_that_begins_again_is_told_what_it_sent_and_the_others_go_on(desk: Desk) -> None:
    assert await desk.open_source(0) == 0
    await desk.enter("a", 0)
    await desk.enter("b", 1)
    await desk.leave("a")
    await desk.enter("c", 0)
    assert await desk.open_source(0) == 2
    assert await desk.under_way() == {"b"}
    assert await desk.begin("c")


async def test_what_was_lost_on_its_way_is_forgotten_in_the_end(desk: Desk, ticks: Ticks) -> None:
    await desk.enter("a", 0)
    ticks.now = FORGOTTEN_SECONDS - 1
    await desk.enter("b", 0)
    assert await desk.under_way() == {"a", "b"}
    ticks.now = FORGOTTEN_SECONDS
    assert await desk.under_way() == {"b"}
    assert await desk.admit()


async def test_when_the_plan_has_ended_nothing_is_under_way(desk: Desk) -> None:
    await desk.enter("a", 0)
    await desk.clear()
    assert await desk.under_way() == frozenset()


async def test_news_that_came_before_the_rest_ends_it_at_once(desk: Desk) -> None:
    await desk.wake()
    async with asyncio.timeout(10):
        await desk.rest(3600)


async def test_nobody_rests_after_the_end(desk: Desk) -> None:
    resting = asyncio.create_task(desk.rest(3600))
    await asyncio.sleep(0)
    await desk.end()
    async with asyncio.timeout(10):
        await resting
        await desk.rest(3600)


async def test_embedders_are_waited_for(desk: Desk) -> None:
    asking = asyncio.create_task(desk.embedders())
    await asyncio.sleep(0)
    assert not asking.done()
    known = KnownEmbedder.of(FakeEmbedder())
    await desk.introduce([known])
    assert not await desk.refuse(InvalidSettings("another process could not load it"))
    assert list(await asking) == [known]
    assert await desk.ready()
    assert list(await desk.embedders()) == [known]


async def test_why_there_is_no_embedder_is_told(desk: Desk) -> None:
    assert await desk.refuse(InvalidSettings("no such model"))
    assert not await desk.ready()
    with pytest.raises(InvalidSettings, match="no such model"):
        await desk.embedders()


async def test_who_only_knows_an_embedder_cannot_embed() -> None:
    known = KnownEmbedder.of(FakeEmbedder())
    assert known.info == FakeEmbedder().info
    with pytest.raises(UpstreamUnavailable, match="on Ray only"):
        await known.embed(["a text"], "document")
