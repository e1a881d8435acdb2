"""How long ago a loop of the worker last got on with its work, by which the worker's liveness is judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Progress:
    """The moment of the last step of one loop: a claim, an embedded slice, a written slice, a recorded outcome.

    Renewing a lease does not count: renewals go on while a batch hangs.

    Args:
        clock: a monotonic clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock()
        self._pauses = 0

    def note(self) -> None:
        """A step is done."""
        self._at = self._clock()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The loop rests on purpose while the body runs, for want of work or of a service that is down."""
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            self.note()

    @property
    def stalled_seconds(self) -> float:
        """Seconds since the last step; 0 while the loop rests."""
        return 0.0 if self._pauses else self._clock() - self._at
