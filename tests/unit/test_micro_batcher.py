"""Micro-batching: who goes at once, who shares a call, and who is none the worse for the others of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from winnow.core.errors import UpstreamRejected, UpstreamUnavailable
from winnow.models.micro_batcher import MicroBatcher


class Model:
    """Answers calls when it is told to.

    Attributes:
        calls: the items of each, in order of arrival.
    """

    def __init__(self) -> None:
        self.calls: list[Sequence[str]] = []
        self.ended: list[Sequence[str]] = []
        self._gates: list[asyncio.Event] = []

    async def __call__(self, items: Sequence[str]) -> list[str]:
        self.calls.append(items)
        gate = asyncio.Event()
        self._gates.append(gate)
        try:
            await gate.wait()
        finally:
            self.ended.append(items)
        if "bad" in items:
            raise UpstreamRejected("bad text")
        if "down" in items:
            raise UpstreamUnavailable("down")
        return [item.upper() for item in items]

    async def answer(self, number: int) -> None:
        """Let a call end."""
        self._gates[number].set()
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def batcher(model: Model) -> MicroBatcher[str, str]:
    found: MicroBatcher[str, str] = MicroBatcher(
        model, at_once=lambda: 1, most=lambda: 3, alike=lambda item: item[0].isdigit()
    )
    found.latency = 1000.0  # so long that no window ends during a test
    return found


Asking = list[asyncio.Task[str]]


async def ask(batcher: MicroBatcher[str, str], *items: str) -> Asking:
    tasks = [asyncio.create_task(batcher.ask(item)) for item in items]
    await settle()
    return tasks


async def test_one_that_finds_nothing_under_way_goes_at_once(model: Model, batcher: MicroBatcher[str, str]) -> None:
    (first,) = await ask(batcher, "a")
    assert model.calls == [["a"]]
    await model.answer(0)
    assert await first == "A"
    (second,) = await ask(batcher, "b")
    assert model.calls == [["a"], ["b"]]
    await model.answer(1)
    assert await second == "B"


async def test_those_that_come_meanwhile_share_the_next_call(model: Model, batcher: MicroBatcher[str, str]) -> None:
    tasks = await ask(batcher, "a", "b", "c", "d")
    assert model.calls == [["a"]]
    await model.answer(0)
    assert model.calls == [["a"], ["b", "c", "d"]]
    await model.answer(1)
    assert [await task for task in tasks] == ["A", "B", "C", "D"]


async def test_a_call_holds_no_more_than_it_may_and_only_what_is_alike(
    model: Model, batcher: MicroBatcher[str, str]
) -> None:
    tasks = await ask(batcher, "a", "b", "1", "c", "2", "d", "e")
    await model.answer(0)
    assert model.calls[1:] == [["b", "c", "d"], ["1", "2"], ["e"]]
    for number in (1, 2, 3):
        await model.answer(number)
    assert [await task for task in tasks] == ["A", "B", "1", "C", "2", "D", "E"]


async def test_nothing_waits_longer_than_a_call_takes(model: Model, batcher: MicroBatcher[str, str]) -> None:
    batcher.latency = 0.0
    tasks = await ask(batcher, "a", "b")
    while len(model.calls) < 2:
        await asyncio.sleep(0)
    await model.answer(0)
    await model.answer(1)
    assert [await task for task in tasks] == ["A", "B"]


async def test_a_refused_one_takes_no_other_along(model: Model, batcher: MicroBatcher[str, str]) -> None:
    first, good, bad = await ask(batcher, "a", "good", "bad")
    await model.answer(0)
    await model.answer(1)
    assert model.calls[2:] == [["good"], ["bad"]]
    await model.answer(2)
    await model.answer(3)
    assert (await first, await good) == ("A", "GOOD")
    with pytest.raises(UpstreamRejected, match="bad text"):
        await bad


async def test_an_outage_is_everybodys(model: Model, batcher: MicroBatcher[str, str]) -> None:
    _, one, two = await ask(batcher, "a", "one", "down")
    await model.answer(0)
    await model.answer(1)
    for task in (one, two):
        with pytest.raises(UpstreamUnavailable):
            await task
    assert len(model.calls) == 2


async def test_a_caller_that_leaves_affects_no_other_and_the_last_ends_the_call(
    model: Model, batcher: MicroBatcher[str, str]
) -> None:
    _, b, c, d, e = await ask(batcher, "a", "b", "c", "1", "2")
    b.cancel()
    await settle()
    await model.answer(0)
    assert model.calls[1:] == [["c"], ["1", "2"]]
    d.cancel()
    await settle()
    assert model.ended == [["a"]]
    e.cancel()
    await settle()
    assert model.ended == [["a"], ["1", "2"]]
    await model.answer(1)
    assert await c == "C"


async def test_those_who_wait_at_the_end_are_told(model: Model, batcher: MicroBatcher[str, str]) -> None:
    first, second = await ask(batcher, "a", "b")
    await batcher.close()
    with pytest.raises(UpstreamUnavailable, match="closed"):
        await second
    await model.answer(0)
    assert await first == "A"
