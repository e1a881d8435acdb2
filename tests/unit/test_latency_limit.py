"""The limit that follows the latency: found for servers of each kind, and found again when they change."""

from __future__ import annotations

import heapq
import itertools

import pytest

from tests.ticks import Ticks
from winnow.search.latency_limit import PROBE_SECONDS, LatencyLimit, Turn


class Server:
    """A server that does ``at_once`` calls at a time in ``seconds`` each, and callers who always want more."""

    def __init__(self, at_once: int, seconds: float, *, most: int | None = None, quick: float = 0.0) -> None:
        self.at_once, self.seconds = at_once, seconds
        self.clock = Ticks()
        self.limit = LatencyLimit(quick=quick, most=most, clock=self.clock)
        self.done = 0
        self.longest = 0.0
        self._ends: list[tuple[float, int, Turn]] = []
        self._free = [self.clock.now] * at_once
        self._numbers = itertools.count()

    def run(self, seconds: float, *, demand: int = 10_000) -> float:
        """Calls that end in a second, over this many seconds."""
        began, done = self.clock.now, self.done
        while self.clock.now < began + seconds:
            while len(self._ends) < min(self.limit.limit, demand):
                end = max(self.clock.now, heapq.heappop(self._free)) + self.seconds
                heapq.heappush(self._free, end)
                heapq.heappush(self._ends, (end, next(self._numbers), self.limit.begin(len(self._ends) + 1)))
            self.clock.now, _, turn = heapq.heappop(self._ends)
            self.longest = self.limit.end(turn)
            self.done += 1
        return (self.done - done) / seconds


@pytest.mark.parametrize(("at_once", "seconds"), [(1, 0.125), (1, 2.0), (4, 0.5), (8, 0.2), (32, 1.0), (200, 0.3)])
def test_a_server_is_kept_busy_by_a_short_queue(at_once: int, seconds: float) -> None:
    server = Server(at_once, seconds)
    server.run(200 * seconds)
    assert server.run(100 * seconds) >= 0.95 * at_once / seconds
    assert server.longest <= 6 * seconds
    assert server.limit.limit <= max(8, 5 * at_once)


def test_a_light_load_tells_the_latency_and_lets_nothing_grow() -> None:
    server = Server(8, 0.2)
    server.run(5, demand=1)
    assert server.limit.base == pytest.approx(0.2)
    assert server.limit.limit <= 4


def test_what_is_quick_enough_is_not_shortened() -> None:
    server = Server(1, 0.001, quick=0.05)
    server.run(3)
    assert 25 <= server.limit.limit <= 100


def test_the_limit_has_an_upper_bound() -> None:
    server = Server(32, 0.1, most=5)
    server.run(30)
    assert server.limit.limit == 5


@pytest.mark.parametrize(("before", "after"), [(0.1, 0.4), (0.4, 0.1)])
def test_a_server_that_changes_under_full_load_is_measured_again(before: float, after: float) -> None:
    server = Server(1, before)
    server.run(30)
    server.seconds = after
    server.run(3 * PROBE_SECONDS)
    assert server.limit.base <= 3 * after
    assert server.run(20) >= 0.95 / after
    assert server.limit.limit <= 16


def test_calls_that_are_given_up_shrink_it_once_for_all_that_were_there() -> None:
    server = Server(8, 0.2)
    server.run(20)
    limit, before = server.limit, server.limit.limit
    turns = [limit.begin(before) for _ in range(before)]
    server.clock.now += 5
    for turn in turns:
        assert limit.give_up(turn) == 5
    assert limit.limit == int(before * 0.7) or limit.limit == int(before * 0.7) + 1
    server.clock.now += 7
    again = limit.begin(1)
    server.clock.now += 6
    limit.give_up(again)
    assert limit.limit < before * 0.6
