"""Load shedding: limits for running searches and for documents that wait to be indexed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from winnow.core.errors import Overloaded
from winnow.ports import WorkQueue

BULK_SHARE: Final = 0.9  # of the limit; the rest is reserved for interactive uploads
ROOM: Final = 0.02  # of the limit: a caller that retries finds room for more than one batch
WINDOW_SECONDS: Final = 30.0
SHORTEST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 120.0
SEARCH_RETRY_SECONDS: Final = 1.0


class SearchGate:
    """Counts running searches. Not thread-safe.

    Args:
        limit: the greatest number of searches that run at once. If it exceeds what the machine can answer within a
            search's time limit, all of them time out under load.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count one search for the length of the block.

        Raises:
            Overloaded: the limit is reached.
        """
        if self._inside >= self._limit:
            raise Overloaded(
                f"{self._inside} searches are running, the limit of WINNOW_SEARCH__MAX_CONCURRENT; "
                "try again in a moment",
                retry_after=SEARCH_RETRY_SECONDS,
            )
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


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
