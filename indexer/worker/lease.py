"""How long a batch is ours."""

from __future__ import annotations

import time
from collections.abc import Callable


def clock() -> float:
    """Seconds that no change of the time of day moves; where the system can tell, those of a suspension count too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class LeaseLost(Exception):
    """The lease has run out: another worker may have the batch by now."""


class Lease:
    """The time within which what was claimed may be written, by this machine's own clock.

    A process that was stopped for longer must not go on writing as if nothing had happened. Count from before the
    claim was sent: the catalog's lease then never ends earlier than ours.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._until = clock() + seconds

    def now(self) -> float:
        """The time that ``renew`` wants to know."""
        return self._clock()

    def renew(self, since: float) -> None:
        """Prolong the lease, which the catalog was asked for at ``since``. One that has run out stays so."""
        if since < self._until:
            self._until = since + self._seconds

    def holds(self) -> bool:
        """Tell whether it has not run out yet."""
        return self._clock() < self._until

    def require(self) -> None:
        """Raise ``LeaseLost`` if it has run out."""
        if not self.holds():
            raise LeaseLost
