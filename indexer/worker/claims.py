"""The loop that claims work from the queue: claim, isolate, renew the lease, carry out, pause.

The worker and the bulk job share it; they differ in what they do with a claimed part, and in how they pause.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from indexer.worker.lease import Lease, renewing
from indexer.worker.progress import Progress
from winnow.core.errors import TokensSpent, WinnowError
from winnow.core.retry import RetryPolicy
from winnow.core.settings import IndexingSettings
from winnow.ports import Claim, Outcome, WorkQueue

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0  # how often an idle worker looks for work that other processes accepted
REFILL_SECONDS: Final = 10.0  # how often an idle worker looks for documents that an index lacks: who begins queues some
MAX_PAUSE_SECONDS: Final = 30.0
RELEASE_SECONDS: Final = 10.0
QUICK_SECONDS: Final = 0.5  # more is claimed at once after a batch that took less
SLOW_SECONDS: Final = 2.0  # and less after one that took longer
SUSPICIOUS: Final = 2  # a document claimed this often without an outcome is processed alone
FATAL: Final = 4  # times ``max_attempts``: after that number of claims without an outcome, the document is at fault

WORKER_LOST: Final = "worker_lost"
SPENT: Final = TokensSpent.code
"""The code of documents that wait for tokens of their tenant: those of others do not."""


class Pause(Protocol):
    """Waits at most ``seconds``; ``down`` says that storage or a model is down, so that new work does not end it."""

    async def __call__(self, seconds: float, *, down: bool) -> None: ...


@dataclass(kw_only=True)
class ClaimLoop:
    """Claims batches and has them carried out.

    Attributes:
        queue: where work is claimed, for ``owner``.
        settings: lease and attempts.
        limit: documents to claim at once.
        progress: when the loop last got on with its work.
        most: up to which that number grows while batches are quick, so that the costs of a batch are shared by more.
        carry_out: does the work of one part of a batch, and records its outcomes.
        refill: queues more work when there is none; returns the number of documents.
        pause: waits when there is no work, or when something is down.
        on_full: called when a claim reached ``limit``, so that there may be more.
    """

    queue: WorkQueue
    owner: str
    settings: IndexingSettings
    limit: int
    carry_out: Callable[[Sequence[Claim], Lease], Awaitable[Sequence[Outcome]]]
    refill: Callable[[], Awaitable[int]]
    pause: Pause
    on_full: Callable[[], None] = lambda: None
    most: int = 0
    progress: Progress = field(default_factory=Progress)
    _failures: int = field(default=0, init=False)
    _size: int = field(default=0, init=False)
    _refill_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._size = self.limit

    async def step(self) -> None:
        """Carry out one batch; then pause if there was none, or, ever longer, while something is down."""
        try:
            outcomes = await self.claim()
            down = next((each.error for each in outcomes or () if each.waited and each.error_code != SPENT), None)
        except WinnowError as error:
            outcomes, down = None, error.message
        if down is not None:
            self._failures += 1
            seconds = RetryPolicy(first_wait=POLL_SECONDS, longest_wait=MAX_PAUSE_SECONDS).wait(self._failures)
            log.warning("no work is claimed for %.0f s: %s", seconds, down)
            with self.progress.paused():
                await self.pause(seconds, down=True)
            return
        self._failures = 0
        if outcomes is None:
            with self.progress.paused():
                await self.pause(POLL_SECONDS, down=False)

    async def claim(self) -> Sequence[Outcome] | None:
        """Claim and carry out one batch; ``None`` if there was none and more could not be queued.

        Raises:
            WinnowError: the queue cannot be read or written.
        """
        seconds = self.settings.lease_seconds
        lease = Lease(seconds, self.progress)
        began, size = time.monotonic(), self._size
        claims = await self.queue.claim(self.owner, limit=size, lease_seconds=seconds)
        self.progress.note()
        if not claims:
            return () if await self._refilled() else None
        self._refill_at = 0.0
        if len(claims) == size:
            self.on_full()
        parts, settled = isolate(claims, max_attempts=self.settings.max_attempts)
        outcomes: list[Outcome] = []
        async with renewing(self.queue, self.owner, claims, lease, seconds):
            if settled:
                await self.queue.commit(settled)
            for part in parts:
                outcomes += await self.carry_out(part, lease)
                self.progress.note()
        self._resize(time.monotonic() - began, full=len(claims) == size and not any(each.waited for each in outcomes))
        return outcomes

    async def _refilled(self) -> bool:
        """Queue more work when the last of it is done, and every ``REFILL_SECONDS``; false if there was none."""
        if time.monotonic() < self._refill_at:
            return False
        if await self.refill() > 0:
            return True
        self._refill_at = time.monotonic() + REFILL_SECONDS
        return False

    def _resize(self, seconds: float, *, full: bool) -> None:
        """Claim twice as much after a full batch that was quick, half as much after a slow one."""
        if seconds > SLOW_SECONDS:
            self._size = max(self.limit, self._size // 2)
        elif full and seconds < QUICK_SECONDS:
            self._size = max(self.limit, min(self.most, self._size * 2))


def isolate(claims: Sequence[Claim], *, max_attempts: int) -> tuple[Sequence[Sequence[Claim]], Sequence[Outcome]]:
    """Split a batch, so that documents which may have killed a worker do not take others with them.

    Returns the parts to carry out one after the other (the harmless documents together, then one suspicious document
    alone), and the outcomes of claims that are not carried out now: the other suspicious ones, which wait for a claim
    of their own, and those that are given up. Waiting counts as no attempt.
    """
    harmless = [claim for claim in claims if claim.attempts < SUSPICIOUS]
    fatal = [claim for claim in claims if claim.attempts >= max_attempts * FATAL]
    tried = [claim for claim in claims if SUSPICIOUS <= claim.attempts < max_attempts * FATAL]
    later = (Outcome(claim, error="waits to be tried alone", retry_in=0.0, waited=True) for claim in tried[1:])
    settled = (*later, *(_given_up(claim) for claim in fatal))
    return [part for part in (harmless, tried[:1]) if part], settled


def _given_up(claim: Claim) -> Outcome:
    message = f"{claim.attempts} workers were lost while they processed it; their logs may say why"
    return Outcome(claim, error=message, error_code=WORKER_LOST)


async def release_leases(queue: WorkQueue, owner: str, *, tried: bool) -> None:
    """Give back every lease of ``owner``; if the queue does not answer in time, they run out by themselves.

    ``tried`` as ``WorkQueue.release`` takes it.
    """
    try:
        async with asyncio.timeout(RELEASE_SECONDS):
            await queue.release(owner, tried=tried)
    except WinnowError as error:
        log.warning("leases were not released and will run out: %s", error.message)
    except TimeoutError:
        log.warning("leases were not released within %g s and will run out", RELEASE_SECONDS)


async def wait_for(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for the event, at most this long."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
