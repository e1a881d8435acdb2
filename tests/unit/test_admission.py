"""Refusing uploads while too many documents wait, and when to try again."""

from __future__ import annotations

import pytest

from tests.ticks import Ticks
from winnow.core.errors import Overloaded
from winnow.operations.admission import LONGEST_SECONDS, Backlog


class Queue:
    """A queue of which only the backlog matters."""

    waiting = 0

    async def backlog(self) -> int:
        return self.waiting


async def refusal(backlog: Backlog, queue: Queue, *, bulk: bool = False) -> Overloaded:
    with pytest.raises(Overloaded) as caught:
        await backlog.require_room(queue, bulk=bulk)
    return caught.value


async def test_bulk_uploads_leave_room_for_interactive_ones() -> None:
    backlog, queue = Backlog(1000), Queue()
    queue.waiting = 900
    assert "900" in (await refusal(backlog, queue, bulk=True)).message
    await backlog.require_room(queue, bulk=False)
    queue.waiting = 1000
    assert "1,000" in (await refusal(backlog, queue)).message


async def test_the_time_to_come_back_follows_from_the_rate_of_work() -> None:
    clock, queue = Ticks(), Queue()
    backlog = Backlog(1000, clock=clock)
    queue.waiting = 1100
    assert (await refusal(backlog, queue)).retry_after is None
    clock.now += 2
    queue.waiting = 1080  # ten a second, and it takes 80 for the bound and 20 for room
    assert (await refusal(backlog, queue)).retry_after == pytest.approx(10.0)
    clock.now += 2
    queue.waiting = 1000  # 25 a second
    assert (await refusal(backlog, queue)).retry_after == pytest.approx(1.0)


async def test_work_that_stands_still_is_told_as_such() -> None:
    clock, queue = Ticks(), Queue()
    backlog = Backlog(1000, clock=clock)
    queue.waiting = 1000
    for _ in range(21):
        error = await refusal(backlog, queue)
        clock.now += 1
    assert error.retry_after == LONGEST_SECONDS


async def test_an_old_rate_is_forgotten_once_there_is_room() -> None:
    clock, queue = Ticks(), Queue()
    backlog = Backlog(1000, clock=clock)
    for waiting in (1100, 1000):
        queue.waiting = waiting
        await refusal(backlog, queue)
        clock.now += 5
    queue.waiting = 10
    await backlog.require_room(queue, bulk=False)
    queue.waiting = 1000
    assert (await refusal(backlog, queue)).retry_after is None
