"""The pace of documents, over simulated servers on a clock of their own."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable

import numpy as np
import pytest

from winnow.core.errors import UpstreamUnavailable
from winnow.models.http.pace import Pace


class Simulation:
    """A server with some slots and a queue, on a clock that jumps from event to event.

    Args:
        slots: calls that are served at a time; others wait their turn.
        seconds: that a call with so many texts takes in its slot.
        overhead: seconds of a call outside of its slot.
    """

    def __init__(self, slots: int, seconds: Callable[[int], float], overhead: float = 0.0) -> None:
        self.now = 0.0
        self.texts = 0
        self._slots = asyncio.Semaphore(slots)  # first come, first served
        self._seconds = seconds
        self._overhead = overhead
        self._events: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def clock(self) -> float:
        return self.now

    async def call(self, texts: int) -> None:
        """Serve a call."""
        await self._sleep(self._overhead / 2)
        async with self._slots:
            await self._sleep(self._seconds(texts))
        self.texts += texts
        await self._sleep(self._overhead / 2)

    async def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while True:
            for _ in range(8):  # everybody gets as far as the next event
                await asyncio.sleep(0)
            if not self._events or self._events[0][0] > end:
                break
            self.now, _, event = heapq.heappop(self._events)
            if not event.done():
                event.set_result(None)
        self.now = end

    async def _sleep(self, seconds: float) -> None:
        event: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), event))
        await event


async def keep_busy(pace: Pace, server: Simulation) -> None:
    """Send documents without end."""

    async def call() -> None:
        turn = await pace.enter()
        try:
            with pace.timing(turn, turn.texts):
                await server.call(turn.texts)
        finally:
            pace.leave()

    async with asyncio.TaskGroup() as group:
        for _ in range(pace.most_calls + 1):

            async def on_and_on() -> None:
                while True:
                    await call()

            group.create_task(on_and_on())


async def found(server: Simulation, *paces: Pace, seconds: float = 60.0) -> list[tuple[int, int]]:
    """The load that each finds, after some time: the most frequent one of the last third, texts and calls."""
    seen: list[list[tuple[int, int]]] = [[] for _ in paces]
    tasks = [asyncio.create_task(keep_busy(pace, server)) for pace in paces]
    for step in range(60):
        await server.run(seconds / 60)
        if step >= 40:
            for pace, loads in zip(paces, seen, strict=True):
                loads.append((pace.texts, pace.calls))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return [max(set(loads), key=loads.count) for loads in seen]


def pace_of(server: Simulation, most_texts: int = 64, most_calls: int = 8) -> Pace:
    return Pace(most_texts=most_texts, most_calls=most_calls, clock=server.clock)


async def test_alone_it_fills_the_slots_and_queues_nothing() -> None:
    server = Simulation(2, lambda texts: 0.010 * texts, overhead=0.001)
    assert await found(server, pace_of(server)) == [(1, 2)]


async def test_two_share_two_slots() -> None:
    server = Simulation(2, lambda texts: 0.010 * texts, overhead=0.001)
    paces = [pace_of(server), pace_of(server)]
    assert await found(server, *paces) == [(1, 1), (1, 1)]
    before = server.texts
    await found(server, *paces)
    assert server.texts - before >= 0.85 * 2 * 60 / 0.010


async def test_where_a_call_has_a_price_it_holds_many_texts() -> None:
    gpu = Simulation(1, lambda texts: 0.006 + 0.0003 * texts)
    ((texts, calls),) = await found(gpu, pace_of(gpu, most_texts=128))
    assert texts >= 64
    assert calls == 1


async def test_where_answers_come_from_afar_many_are_under_way() -> None:
    far = Simulation(100, lambda texts: 0.005 * texts, overhead=0.150)
    ((texts, calls),) = await found(far, pace_of(far, most_texts=10))
    assert texts >= 8
    assert calls == 8


async def test_long_calls_are_not_made_longer_for_a_little_more_throughput() -> None:
    slow = Simulation(1, lambda texts: 0.300 * texts + 0.020)
    assert await found(slow, pace_of(slow), seconds=600.0) == [(1, 1)]


async def test_it_follows_when_another_comes_and_goes() -> None:
    server = Simulation(2, lambda texts: 0.010 * texts, overhead=0.001)
    first, second = pace_of(server), pace_of(server)
    assert await found(server, first) == [(1, 2)]
    assert await found(server, first, second) == [(1, 1), (1, 1)]
    assert await found(server, first) == [(1, 2)]


@pytest.mark.parametrize("overhead", [0.0005, 0.0015, 0.003])
async def test_queries_beside_two_that_index_take_twice_as_long_at_most(overhead: float) -> None:
    """An embedder of two calls at a time, 10 ms a text, in the order of arrival; ten queries a second at random."""
    server = Simulation(2, lambda texts: 0.010 * texts, overhead)
    tasks = [asyncio.create_task(keep_busy(pace_of(server), server)) for _ in range(2)]
    await server.run(20.0)  # to find the pace
    before = server.texts
    await server.run(20.0)
    alone = (server.texts - before) / 20.0

    took: list[float] = []

    async def query() -> None:
        began = server.now
        await server.call(1)
        took.append(server.now - began)

    chosen = random.Random(3)
    began, before = server.now, server.texts
    for _ in range(400):
        tasks.append(asyncio.create_task(query()))
        await server.run(chosen.expovariate(10.0))
    beside = (server.texts - before - len(took)) / (server.now - began)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert float(np.percentile(took, 95)) <= 2 * (0.010 + overhead)
    assert beside >= 0.9 * alone
    assert alone >= 0.75 * 2 / 0.010


async def test_overload_halves_the_calls() -> None:
    pace = Pace(most_texts=8, most_calls=8)
    pace.start_at(8, 6)
    turn = await pace.enter()
    with pytest.raises(UpstreamUnavailable), pace.timing(turn, 8):
        raise UpstreamUnavailable("the queue is full")
    pace.leave()
    assert pace.calls == 3


async def test_turns_are_taken_in_order_and_passed_on_by_those_who_leave() -> None:
    pace = Pace(most_texts=8, most_calls=8)
    await pace.enter()
    order: list[str] = []

    async def take(name: str) -> None:
        await pace.enter()
        order.append(name)

    tasks = [asyncio.create_task(take(name)) for name in "abc"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    pace.leave()
    tasks[0].cancel()  # its turn has just been given to it
    for _ in range(5):
        await asyncio.sleep(0)
    assert order == ["c"]
    assert await asyncio.gather(*tasks, return_exceptions=True) != []
