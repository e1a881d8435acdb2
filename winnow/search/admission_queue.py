"""Admission of work to something that can do so much at a time: at once, after a short wait, or not at all.

Work that finds a free place begins at once. Else it waits, if it can end within its time although what is ahead of it
takes twice as long as the measured latency says; if not, it is refused at once, so that a refusal costs next to nothing
and what is admitted ends in time. Work that waited until it could no longer end is refused without having begun.

Places that become free go to interactive work before bulk, then to the principal with the fewest under way, then to who
has waited longest: one caller that sends much delays its own work (max-min fairness).
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, assert_never

from winnow.search.latency_forecast import LatencyForecast
from winnow.search.latency_limit import LatencyLimit, Turn

Ending: TypeAlias = Literal["done", "late", "failed"]

_DEPARTURES: Final = 32
_FEWEST_DEPARTURES: Final = 6
STANDING: Final = 1.0  # seconds
PATIENCE: Final = 0.25  # seconds to wait for a place that are not too long for good
_PAUSE: Final = 0.25  # seconds
_CAUTION: Final = 2.0  # times the expected wait that work must have left
_SHORTEST_RETRY: Final = 1.0  # seconds
_LONGEST_RETRY: Final = 30.0


held_place: ContextVar[Place | None] = ContextVar("held_place", default=None)
"""The place that the work in this context holds elsewhere, which it lends while it waits for another one."""


class NoPlace(Exception):
    """The work cannot end within its time. ``drain_seconds`` is when the work that is there now will be done."""

    def __init__(self, drain_seconds: float) -> None:
        super().__init__(drain_seconds)
        self.drain_seconds = min(max(drain_seconds, _SHORTEST_RETRY), _LONGEST_RETRY)


@dataclass(slots=True, eq=False)
class Place:
    """A place that is taken, until ``AdmissionQueue.leave``.

    Attributes:
        away: seconds for which it was lent to others while the work waited elsewhere.
    """

    queue: AdmissionQueue
    principal: str
    turn: Turn
    away: float = 0.0


@dataclass(slots=True, eq=False)
class _Waiting:
    """Work that waits for a place."""

    principal: str
    bulk: bool
    number: int
    until: float  # by the loop's clock
    place: asyncio.Future[Place]


class AdmissionQueue:
    """Belongs to one event loop.

    Args:
        limit: how much may be under way at a time.
        patience: seconds to wait for a place, or as long as the work itself takes, once some work has waited for
            ``STANDING`` seconds without a pause of a quarter of a second. A queue that empties absorbs a burst; one
            that does not only delays everybody (Nichols and Jacobson, "Controlling queue delay", 2012), so that work
            which would wait longer is refused.

    Attributes:
        busy: how much is under way.
        waiting: how much waits.
        admitted: how much has got a place so far.
        refused: how much has not, so far.
    """

    def __init__(self, limit: LatencyLimit, *, patience: float = PATIENCE) -> None:
        self._limit = limit
        self._patience = patience
        self._full_since = self._full_at = -math.inf  # when work waited first and last, without a pause in between
        self.busy = 0
        self.waiting = 0
        self.admitted = 0
        self.refused = 0
        self._under_way: Counter[str] = Counter()
        self._queues: dict[tuple[bool, str], deque[_Waiting]] = {}
        self._numbers = 0
        self._departures: deque[float] = deque(maxlen=_DEPARTURES)  # since work began to wait, by the limit's clock
        self._forecast = LatencyForecast()

    @property
    def limit(self) -> int:
        """How much may be under way now."""
        return self._limit.limit

    @property
    def is_at_bound(self) -> bool:
        """Whether the limit is the upper bound that was set."""
        return self._limit.limit == self._limit.most

    @property
    def needed(self) -> float:
        """Seconds that work takes if it begins now; 0 if unknown."""
        return self._forecast.seconds(self.busy + 1, self._limit.base)

    def enter_now(self, seconds_left: float, principal: str = "") -> Place | None:
        """A place without waiting, or ``None`` if there is none.

        Raises:
            NoPlace: work takes longer than ``seconds_left``.
        """
        if self.waiting or self.busy >= self._limit.limit:
            return None
        if self.busy and seconds_left < self.needed:
            self.refused += 1
            raise NoPlace(self.needed)
        return self._take(principal)

    async def wait(self, seconds_left: float, principal: str = "", *, bulk: bool = False) -> Place:
        """A place, once there is one.

        Raises:
            NoPlace: there will be none in time, by what was measured (at once), or as it turned out.
        """
        expected = self._expected_wait(principal, bulk=bulk)
        unknown = not self._forecast.rate and self.is_at_bound
        if unknown or self._is_too_long(expected) or seconds_left < _CAUTION * expected + self.needed:
            self.refused += 1
            raise NoPlace(self._expected_drain())
        loop = asyncio.get_running_loop()
        self._numbers += 1
        until = loop.time() + seconds_left
        waiting = _Waiting(principal, bulk, self._numbers, until, loop.create_future())
        self._queues.setdefault((bulk, principal), deque()).append(waiting)
        self.waiting += 1
        try:
            async with asyncio.timeout(None if math.isinf(seconds_left) else max(0.0, seconds_left - self.needed)):
                return await waiting.place
        except TimeoutError:
            self._forget(waiting)
            self.refused += 1
            raise NoPlace(self._expected_drain()) from None
        except asyncio.CancelledError:
            self._forget(waiting)
            raise

    def refuse_standing(self, principal: str = "") -> NoPlace | None:
        """The refusal of work that has just come to a queue which lasts and is too long for any; else ``None``."""
        is_full = self.waiting or self.busy >= self._limit.limit
        if not is_full or not self._is_too_long(self._expected_wait(principal, bulk=False)):
            return None
        self.refused += 1
        return NoPlace(self._expected_drain())

    def leave(self, place: Place, how: Ending) -> None:
        """Free a place. Only work that is done or late says something about the latency."""
        match how:
            case "late":
                self._forecast.give_up(self._limit.give_up(place.turn), place.turn.busy)
            case "done":
                known = self._forecast.rate > 0
                self._forecast.learn(self._limit.end(place.turn, place.away), place.turn.busy, self._limit.base)
                if not known:
                    self._refuse_hopeless()
            case "failed":
                pass
            case unknown:
                assert_never(unknown)
        self.busy -= 1
        if self.waiting:
            self._departures.append(self._limit.now())
        else:
            self._departures.clear()
        self._under_way[place.principal] -= 1
        if not self._under_way[place.principal]:
            del self._under_way[place.principal]
        self._admit()

    @contextmanager
    def lent(self, place: Place) -> Iterator[None]:
        """Lend a place to others while its work waits elsewhere. It is back at once, over the limit if need be."""
        began = self._limit.now()
        self.busy -= 1
        self._admit()
        try:
            yield
        finally:
            self.busy += 1
            place.away += self._limit.now() - began

    def _take(self, principal: str) -> Place:
        self.busy += 1
        self.admitted += 1
        self._under_way[principal] += 1
        return Place(self, principal, self._limit.begin(self.busy))

    def _admit(self) -> None:
        while self.waiting and self.busy < self._limit.limit:
            queue = self._queues[self._next()]
            waiting = queue[0]
            self._remove(waiting)
            if not waiting.place.done():
                waiting.place.set_result(self._take(waiting.principal))

    def _next(self) -> tuple[bool, str]:
        """The queue whose turn it is."""

        def order(key: tuple[bool, str]) -> tuple[bool, int, int]:
            bulk, principal = key
            return bulk, self._under_way[principal], self._queues[key][0].number

        return min(self._queues, key=order)

    def _remove(self, waiting: _Waiting) -> None:
        key = waiting.bulk, waiting.principal
        self._queues[key].remove(waiting)
        self.waiting -= 1
        self._full_at = self._limit.now()
        if not self._queues[key]:
            del self._queues[key]

    def _forget(self, waiting: _Waiting) -> None:
        """Take work out that no longer waits, and pass on a place that it was given at the same moment."""
        if waiting.place.done() and not waiting.place.cancelled():
            self.leave(waiting.place.result(), "failed")
        elif waiting in self._queues.get((waiting.bulk, waiting.principal), ()):
            self._remove(waiting)

    def _interval(self) -> float:
        """Seconds between two places that become free: as it has been since work began to wait, else by forecast."""
        if len(self._departures) < _FEWEST_DEPARTURES:
            return self._forecast.interval()
        return (self._limit.now() - self._departures[0]) / (len(self._departures) - 1)

    def _is_too_long(self, expected: float) -> bool:
        """Whether work that has just come is not to wait this long, as the queue lasts."""
        return self._stands() and expected > max(self._patience, self._limit.base)

    def _stands(self) -> bool:
        """Whether work has waited for ``STANDING`` seconds without a pause."""
        now = self._limit.now()
        if not self.waiting and now - self._full_at > _PAUSE:
            self._full_since = now
        self._full_at = now
        return now - self._full_since > STANDING

    def _refuse_hopeless(self) -> None:
        """Refuse what came while nothing was known of the latency, and cannot end in time."""
        now, interval = asyncio.get_running_loop().time(), self._interval()
        there = sorted((each for queue in self._queues.values() for each in queue), key=lambda each: each.number)
        ahead = 0
        for waiting in there:
            if waiting.until - now < (ahead + 1) * interval + self.needed:
                self._remove(waiting)
                if not waiting.place.done():
                    self.refused += 1
                    waiting.place.set_exception(NoPlace(self._expected_drain()))
            else:
                ahead += 1

    def _expected_wait(self, principal: str, *, bulk: bool) -> float:
        """Seconds until work that comes now gets a place, by Little's law."""
        own = len(self._queues.get((bulk, principal), ()))
        ahead = own
        for (others_bulk, other), queue in self._queues.items():
            if (others_bulk, other) != (bulk, principal) and others_bulk <= bulk:
                ahead += len(queue) if others_bulk < bulk else min(len(queue), own + 1)
        return (ahead + 1) * self._interval()

    def _expected_drain(self) -> float:
        return (self.waiting + 1) * self._interval()
