"""Admission: at once, after a wait, or not at all; fair between principals, interactive before bulk."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from tests.ticks import Ticks
from winnow.search.admission_queue import STANDING, AdmissionQueue, NoPlace, Place
from winnow.search.latency_limit import LatencyLimit


class Queue(AdmissionQueue):
    """A queue of two places by a clock that the test moves; ``learn`` has it know that work takes a second."""

    def __init__(self, most: int | None = None, patience: float = math.inf) -> None:
        self.clock = Ticks()
        super().__init__(LatencyLimit(quick=0, most=most, clock=self.clock), patience=patience)

    def enter(self, seconds: float = math.inf, principal: str = "") -> Place:
        place = self.enter_now(seconds, principal)
        assert place is not None
        return place

    def learn(self) -> None:
        places = [self.enter(), self.enter()]
        self.clock.now += 1
        for place in places:
            self.leave(place, "done")


async def started(*tasks: asyncio.Task[Any]) -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_places_are_given_up_to_the_limit_and_then_as_they_become_free() -> None:
    queue = Queue()
    first, _ = queue.enter(), queue.enter()
    assert queue.enter_now(math.inf) is None
    third = asyncio.create_task(queue.wait(math.inf))
    await started(third)
    assert (queue.busy, queue.waiting) == (2, 1)
    queue.leave(first, "done")
    await third
    assert (queue.busy, queue.waiting) == (2, 0)


async def test_what_cannot_end_in_time_is_refused_at_once() -> None:
    queue = Queue()
    queue.learn()
    places = [queue.enter(), queue.enter()]
    with pytest.raises(NoPlace) as refused:
        await queue.wait(1.2)
    assert queue.waiting == 0
    assert refused.value.drain_seconds >= 1
    fitting = asyncio.create_task(queue.wait(30))
    await started(fitting)
    queue.leave(places[0], "done")
    await fitting


async def test_a_free_place_is_refused_to_what_would_end_too_late_unless_nothing_runs() -> None:
    queue = Queue()
    queue.learn()
    queue.enter(0.1)
    with pytest.raises(NoPlace):
        queue.enter_now(0.1)
    queue.enter(10)


async def test_waiting_ends_when_it_is_too_late_to_begin() -> None:
    queue = Queue()
    queue.enter(), queue.enter()
    with pytest.raises(NoPlace):
        await queue.wait(0.01)
    assert (queue.busy, queue.waiting) == (2, 0)


async def test_at_a_bound_that_was_set_nothing_waits_for_an_unknown_time() -> None:
    queue = Queue(most=1)
    queue.enter()
    with pytest.raises(NoPlace):
        await queue.wait(60)


async def test_what_waited_while_nothing_was_known_is_judged_with_the_first_that_ends() -> None:
    queue = Queue()
    places = [queue.enter(), queue.enter()]
    waiting = [asyncio.create_task(queue.wait(3)) for _ in range(20)]
    await started()
    queue.clock.now += 1
    queue.leave(places[0], "done")
    await started()
    refused = [task for task in waiting if task.done() and task.exception() is not None]
    assert 10 <= len(refused) < 20
    assert not waiting[0].exception()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert queue.waiting == 0


async def test_the_principal_with_the_fewest_under_way_is_next() -> None:
    queue = Queue()
    places = [queue.enter(principal="greedy"), queue.enter(principal="greedy")]
    order: list[str] = []

    async def search(principal: str) -> None:
        place = await queue.wait(math.inf, principal)
        order.append(principal)
        await started()
        queue.leave(place, "done")

    tasks = [asyncio.create_task(search("greedy")) for _ in range(10)]
    await started()
    tasks += [asyncio.create_task(search("modest")) for _ in range(2)]
    await started()
    queue.leave(places[0], "done")
    queue.leave(places[1], "done")
    await asyncio.gather(*tasks)
    assert order.index("modest") == 0
    assert order[:4].count("modest") == 2
    assert (queue.busy, queue.waiting) == (0, 0)


async def test_a_modest_principal_is_admitted_where_a_greedy_one_is_refused() -> None:
    queue = Queue()
    queue.learn()
    for _ in range(2):
        queue.enter(principal="greedy")
    waiting = []
    while not (waiting and waiting[-1].done()):
        waiting.append(asyncio.create_task(queue.wait(6, "greedy")))
        await started()
        assert len(waiting) < 100
    modest = asyncio.create_task(queue.wait(6, "modest"))
    await started()
    assert not modest.done()
    for task in (*waiting, modest):
        task.cancel()
    await asyncio.gather(*waiting, modest, return_exceptions=True)


async def test_interactive_work_goes_before_bulk() -> None:
    queue = Queue()
    place = queue.enter()
    queue.enter()
    bulk = asyncio.create_task(queue.wait(math.inf, bulk=True))
    await started()
    interactive = asyncio.create_task(queue.wait(math.inf))
    await started()
    queue.leave(place, "failed")
    await interactive
    assert not bulk.done()
    queue.leave(interactive.result(), "failed")
    await bulk


async def test_a_caller_that_leaves_frees_its_place_in_the_queue_and_one_it_was_just_given() -> None:
    queue = Queue()
    place = queue.enter()
    queue.enter()
    gone = asyncio.create_task(queue.wait(math.inf))
    await started()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert queue.waiting == 0
    given = asyncio.create_task(queue.wait(math.inf))
    await started()
    queue.leave(place, "failed")
    given.cancel()  # at the moment at which it was given the place
    await asyncio.gather(given, return_exceptions=True)
    assert queue.busy == 1


async def test_a_queue_that_lasts_is_kept_short_and_a_burst_is_not() -> None:
    queue = Queue(patience=0.25)
    queue.learn()
    queue.enter()
    assert queue.refuse_standing("") is None
    queue.enter()
    assert queue.refuse_standing("") is None
    burst = [asyncio.create_task(queue.wait(100)) for _ in range(5)]
    await started()
    assert queue.waiting == 5
    queue.clock.now += STANDING + 0.1
    with pytest.raises(NoPlace):
        await queue.wait(100)
    assert queue.refuse_standing("") is not None
    assert queue.refused == 2
    for task in burst:
        task.cancel()
    await asyncio.gather(*burst, return_exceptions=True)


async def test_a_queue_that_lasts_is_short_until_nothing_has_waited_for_a_while() -> None:
    queue = Queue(patience=0.25)
    queue.learn()
    places = [queue.enter(), queue.enter()]
    waiting = asyncio.create_task(queue.wait(100))
    await started()
    queue.clock.now += STANDING + 0.1
    for pause, waits in ((0.1, False), (3.0, True)):
        queue.leave(places.pop(), "failed")
        places.append(await waiting)
        assert queue.waiting == 0
        queue.clock.now += pause
        waiting = asyncio.create_task(queue.wait(100))
        await started()
        assert waiting.done() is not waits
        if not waits:
            assert isinstance(waiting.exception(), NoPlace)
            queue.clock.now += 3
            waiting = asyncio.create_task(queue.wait(100))
            await started()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_place_is_lent_while_its_work_waits_elsewhere() -> None:
    queue = Queue()
    places = [queue.enter(), queue.enter()]
    other = asyncio.create_task(queue.wait(math.inf))
    await started()
    with queue.lent(places[0]):
        await other
        assert queue.busy == 2
    assert queue.busy == 3
    for place in (*places, other.result()):
        queue.leave(place, "failed")
    assert queue.busy == 0
