"""The time limit of a lease, and its renewal while the batch is being processed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from indexer.worker.progress import Progress
from winnow.core.errors import WinnowError
from winnow.ports import Claim, WorkQueue

log = logging.getLogger(__name__)


def clock() -> float:
    """Seconds that no change of the time of day moves; where the system can tell, those of a suspension count too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class LeaseLost(Exception):
    """The lease has run out: another worker may have claimed the batch."""


class Lease:
    """The time within which claimed documents may be written, by this machine's own clock.

    A process that was stopped for longer must not go on writing as if nothing had happened. Count from before the
    claim was sent: the catalog's lease then never ends earlier than ours.

    Args:
        seconds: that the catalog was asked for.
        progress: of the loop that claimed them; told of each step that was done.
        clock: seconds.
    """

    def __init__(self, seconds: float, progress: Progress | None = None, *, clock: Callable[[], float] = clock) -> None:
        self.progress = progress or Progress()
        self._seconds = seconds
        self._clock = clock
        self._until = clock() + seconds

    def now(self) -> float:
        """The time to pass to ``renew``."""
        return self._clock()

    def renew(self, since: float) -> None:
        """Prolong the lease, which the catalog was asked for at ``since``. A lease that has run out is not revived."""
        if since < self._until:
            self._until = since + self._seconds

    def holds(self) -> bool:
        """Tell whether it has not run out yet."""
        return self._clock() < self._until

    def require(self) -> None:
        """Raise ``LeaseLost`` if it has run out."""
        if not self.holds():
            raise LeaseLost


@asynccontextmanager
async def renewing(
    queue: WorkQueue, owner: str, claims: Sequence[Claim], lease: Lease, seconds: float
) -> AsyncIterator[None]:
    """Renew the lease of ``owner`` on ``claims``, for ``seconds`` each time, until the body ends."""

    async def renew() -> None:
        since = lease.now()
        if await queue.renew(owner, claims, lease_seconds=seconds):
            lease.renew(since)

    task = asyncio.create_task(keep_renewing(renew, seconds))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def keep_renewing(renew: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Call ``renew`` three times per lease of ``seconds``, until cancelled; a call that fails is logged."""
    while True:
        await asyncio.sleep(seconds / 3)
        try:
            await renew()
        except WinnowError as error:
            log.warning("lease not renewed: %s", error.message)
