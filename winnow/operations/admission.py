"""Load shedding: limits for running searches and for documents that wait to be indexed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from winnow.core.errors import DeadlineExceeded, Overloaded
from winnow.core.principal import Principal
from winnow.ports import WorkQueue
from winnow.search.admission_queue import AdmissionQueue, Ending, NoPlace, held_place
from winnow.search.latency_limit import LatencyLimit
from winnow.search.limits import SearchDeadline

BULK_SHARE: Final = 0.9  # of the limit; the rest is reserved for interactive uploads
ROOM: Final = 0.02  # of the limit: a caller that retries finds room for more than one batch
WINDOW_SECONDS: Final = 30.0
SHORTEST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 120.0
QUICK: Final = 0.1  # seconds of latency that need no shortening


_Answer = TypeVar("_Answer")


class Admission:
    """Admits searches, or calls of a model, as fast as they are answered, fairly between principals.

    Belongs to one event loop.

    Args:
        most: upper bound of those that run at a time; ``None`` leaves it to the measured latency.
        clock: a monotonic clock in seconds.

    Attributes:
        queue: those that run and those that wait.
    """

    def __init__(self, most: int | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.queue = AdmissionQueue(LatencyLimit(quick=QUICK, most=most, clock=clock))

    async def run(
        self,
        work: Callable[[], Awaitable[_Answer]],
        principal: Principal,
        deadline: SearchDeadline,
        *,
        tells: Callable[[_Answer], bool] = lambda _: True,
        bulk: bool = False,
    ) -> _Answer:
        """Do ``work`` once it has a place. Its latency counts if its answer ``tells`` how long such work takes.

        Places go to work that is not ``bulk`` first.

        Raises:
            Overloaded: it would end after ``deadline``; it has not begun.
            WinnowError: as ``work`` does.
        """
        who = _named(principal)
        try:
            place = self.queue.enter_now(deadline.left(), who) or await self.queue.wait(deadline.left(), who, bulk=bulk)
        except NoPlace as full:
            raise self._overloaded(full) from None
        how: Ending = "failed"
        token = held_place.set(place)
        try:
            answer = await work()
        except DeadlineExceeded:
            how = "late"
            raise
        else:
            how = "done" if tells(answer) else "failed"
            return answer
        finally:
            held_place.reset(token)
            self.queue.leave(place, how)

    def refusal(self, principal: Principal) -> Overloaded | None:
        """The error of work that would be refused whatever its deadline, which is counted; else ``None``."""
        full = self.queue.refuse_standing(_named(principal))
        return None if full is None else self._overloaded(full)

    def _overloaded(self, full: NoPlace) -> Overloaded:
        bound = " (WINNOW_SEARCH__MAX_CONCURRENT)" if self.queue.is_at_bound else ""
        return Overloaded(
            f"{self.queue.busy} such requests are running and {self.queue.waiting} wait{bound}: another one would end "
            "too late; try again in a moment",
            retry_after=full.drain_seconds,
        )


def _named(principal: Principal) -> str:
    return f"{principal.kind} {principal.subject}"


class Backlog:
    """Limits the documents that wait, and estimates from the rate of indexing when further ones will be accepted.

    Args:
        limit: the greatest number of documents that may wait.
        clock: a monotonic clock in seconds.
    """

    def __init__(self, limit: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    async def require_room(self, queue: WorkQueue, *, bulk: bool) -> None:
        """Raise ``Overloaded`` if too many documents wait; its ``retry_after`` estimates when to try again."""
        waiting = await queue.backlog()
        bulk_limit = max(1, int(self._limit * BULK_SHARE))
        limit = bulk_limit if bulk else self._limit
        if waiting < bulk_limit:
            self._seen.clear()  # uploads are accepted, so the backlog does not show the rate of indexing
        if waiting < limit:
            return
        wait = self._estimate(waiting, waiting - limit + max(1, int(self._limit * ROOM)))
        kind = "bulk " if bulk else ""
        raise Overloaded(
            f"{waiting:,} documents wait to be indexed; the limit for {kind}uploads is {limit:,}. Send the rest later",
            retry_after=wait,
        )

    def _estimate(self, waiting: int, surplus: int) -> float | None:
        """Seconds until ``surplus`` documents are done, at the rate of the last half minute; ``None`` if unknown."""
        now = self._clock()
        self._seen.append((now, waiting))
        while now - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        if now - since < SHORTEST_SECONDS:
            return None
        done = before - waiting
        if done <= 0:
            return LONGEST_SECONDS if now - since >= WINDOW_SECONDS / 2 else None
        return min(max(surplus * (now - since) / done, SHORTEST_SECONDS), LONGEST_SECONDS)
