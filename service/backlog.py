"""Shedding load: how much may wait, and when there is room again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from winnow.core.errors import Overloaded
from winnow.ports import WorkQueue

BULK_SHARE: Final = 0.9  # of the bound: the rest is left to interactive uploads
ROOM: Final = 0.02  # of the bound: who comes back finds room for more than one batch
WINDOW_SECONDS: Final = 30.0
SHORTEST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 120.0


class Backlog:
    """Watches how many documents wait, and how fast they get fewer while uploads are refused.

    Args:
        limit: how many may wait.
        clock: seconds that only grow.
    """

    def __init__(self, limit: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    async def require_room(self, queue: WorkQueue, *, bulk: bool) -> None:
        """Raise ``Overloaded`` where too many documents wait; ``retry_after`` is when there should be room again."""
        waiting = await queue.backlog()
        bulk_limit = max(1, int(self._limit * BULK_SHARE))
        limit = bulk_limit if bulk else self._limit
        if waiting < bulk_limit:
            self._seen.clear()  # uploads of all kinds come in: the backlog does not tell how fast work is done
        if waiting < limit:
            return
        wait = self._estimate(waiting, waiting - limit + max(1, int(self._limit * ROOM)))
        kind = "in bulk " if bulk else ""
        raise Overloaded(
            f"{waiting:,} documents wait to be indexed, the limit for uploads {kind}is {limit:,}; send the rest later",
            retry_after=wait,
        )

    def _estimate(self, waiting: int, surplus: int) -> float | None:
        """Seconds until ``surplus`` documents are done, at the rate of the last half minute; ``None``: unknown."""
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
