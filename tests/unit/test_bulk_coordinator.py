"""The coordinator of a bulk job: how much is under way, what an embedder had in hand, and when to stop."""

from __future__ import annotations

import asyncio

import pytest

from indexer.bulk.coordinator import FORGOTTEN_SECONDS, Coordinator, KnownEmbedder
from tests.ticks import Ticks
from winnow.core.errors import InvalidSettings, UpstreamUnavailable
from winnow.testing.models import FakeEmbedder


@pytest.fixture
def ticks() -> Ticks:
    return Ticks(0.0)


@pytest.fixture
def coordinator(ticks: Ticks) -> Coordinator:
    return Coordinator(2, clock=ticks)


async def test_no_more_than_the_limit_is_admitted_until_something_leaves(coordinator: Coordinator) -> None:
    for number in ("a", "b"):
        assert await coordinator.admit()
        await coordinator.enter(number, 0)
    waiting = asyncio.create_task(coordinator.admit())
    await asyncio.sleep(0)
    assert not waiting.done()
    await coordinator.leave("a")
    assert await waiting


async def test_whoever_waits_for_room_hears_of_the_end(coordinator: Coordinator) -> None:
    await coordinator.enter("a", 0)
    await coordinator.enter("b", 0)
    waiting = asyncio.create_task(coordinator.admit())
    await asyncio.sleep(0)
    await coordinator.end()
    assert not await waiting
    assert not await coordinator.admit()


async def test_a_batch_is_begun_once(coordinator: Coordinator) -> None:
    await coordinator.enter("a", 0)
    assert await coordinator.begin("a")
    assert not await coordinator.begin("a")
    await coordinator.leave("a")
    await coordinator.enter("a", 0)
    assert await coordinator.begin("a")


async def test_a_source_that_begins_again_is_told_what_it_sent_and_the_others_go_on(coordinator: Coordinator) -> None:
    assert await coordinator.open_source(0) == 0
    await coordinator.enter("a", 0)
    await coordinator.enter("b", 1)
    await coordinator.leave("a")
    await coordinator.enter("c", 0)
    assert await coordinator.open_source(0) == 2
    assert await coordinator.under_way() == {"b"}
    assert await coordinator.begin("c")


async def test_what_was_lost_on_its_way_is_forgotten_in_the_end(coordinator: Coordinator, ticks: Ticks) -> None:
    await coordinator.enter("a", 0)
    ticks.now = FORGOTTEN_SECONDS - 1
    await coordinator.enter("b", 0)
    assert await coordinator.under_way() == {"a", "b"}
    ticks.now = FORGOTTEN_SECONDS
    assert await coordinator.under_way() == {"b"}
    assert await coordinator.admit()


async def test_when_the_plan_has_ended_nothing_is_under_way(coordinator: Coordinator) -> None:
    await coordinator.enter("a", 0)
    await coordinator.clear()
    assert await coordinator.under_way() == frozenset()


async def test_news_that_came_before_the_rest_ends_it_at_once(coordinator: Coordinator) -> None:
    await coordinator.wake()
    async with asyncio.timeout(10):
        await coordinator.rest(3600)


async def test_nobody_rests_after_the_end(coordinator: Coordinator) -> None:
    resting = asyncio.create_task(coordinator.rest(3600))
    await asyncio.sleep(0)
    await coordinator.end()
    async with asyncio.timeout(10):
        await resting
        await coordinator.rest(3600)


async def test_embedders_are_waited_for(coordinator: Coordinator) -> None:
    asking = asyncio.create_task(coordinator.embedders())
    await asyncio.sleep(0)
    assert not asking.done()
    known = KnownEmbedder.of(FakeEmbedder())
    await coordinator.introduce([known])
    assert not await coordinator.refuse(InvalidSettings("another process could not load it"))
    assert list(await asking) == [known]
    assert await coordinator.ready()
    assert list(await coordinator.embedders()) == [known]


async def test_why_there_is_no_embedder_is_told(coordinator: Coordinator) -> None:
    assert await coordinator.refuse(InvalidSettings("no such model"))
    assert not await coordinator.ready()
    with pytest.raises(InvalidSettings, match="no such model"):
        await coordinator.embedders()


async def test_who_only_knows_an_embedder_cannot_embed() -> None:
    known = KnownEmbedder.of(FakeEmbedder())
    assert known.info == FakeEmbedder().info
    with pytest.raises(UpstreamUnavailable, match="on Ray only"):
        await known.embed(["a text"], "document")
