"""Last stage of the plan: write points, remove stale ones, commit; fenced as in the pipeline."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from indexer.bulk.stage import LoopThread, opened
from indexer.bulk.work import Work, packed, reported, unpacked
from indexer.worker.claims import SUSPICIOUS, WORKER_LOST
from indexer.worker.lease import Lease, renewing
from indexer.worker.stages import OUTAGE
from winnow.core.errors import WinnowError
from winnow.core.retry import retry
from winnow.operations.resources import Adapters
from winnow.ports import Claim, Outcome

log = logging.getLogger(__name__)


class Writing:
    """Writes batches whose lease still holds, and drops the others, which another worker has.

    Monotonic clocks of two machines cannot be compared. So the lease by which the pipeline stops itself starts again
    here, at the time when the catalog was asked to prolong it.

    Args:
        coordinator: handle of the actor ``Coordinator``.
        owner: the name under which the job claims.
        adapters: open the stores of the coordinator's settings.
    """

    def __init__(self, coordinator: Any, owner: str, adapters: Adapters) -> None:
        self._coordinator = coordinator
        self._owner = owner
        self._loop = LoopThread()
        parts = self._loop.run(opened(coordinator, adapters))
        if parts is not None:  # otherwise no batch arrives
            indexing, self._catalog, self._pipeline = parts
            self._seconds, self._max_attempts = indexing.lease_seconds, indexing.max_attempts

    def __call__(self, table: Any) -> Any:
        """Write a table of work; returns one of outcomes, a tuple for each batch."""
        return packed([self._loop.run(self._write(work)) for work in unpacked(table)])

    async def _write(self, work: Work) -> tuple[Outcome, ...]:
        outcomes: list[Outcome] = []
        try:
            for claims, lease in await self._held(work.batch.claims):
                async with renewing(self._catalog.queue, self._owner, claims, lease, self._seconds):
                    outcomes += await self._pipeline.settle(claims, partial(self._carry_out, work), lease)
        except WinnowError as error:
            log.warning(
                "%d documents are released when their lease runs out: %s", len(work.batch.claims), error.message
            )
        finally:
            await self._coordinator.leave.remote(work.number)
        return tuple(reported(outcome) for outcome in outcomes)

    async def _held(self, claims: Sequence[Claim]) -> list[tuple[Sequence[Claim], Lease]]:
        """The claims whose leases hold: all together, or one by one if some do not."""
        lease = Lease(self._seconds)
        count = await retry(
            partial(self._catalog.queue.renew, self._owner, claims, lease_seconds=self._seconds), OUTAGE
        )
        if count == len(claims):
            return [(claims, lease)]
        if count == 0 or len(claims) == 1:
            return []
        return [held for claim in claims for held in await self._held([claim])]

    async def _carry_out(self, work: Work, claims: Sequence[Claim], lease: Lease | None) -> list[Outcome]:
        if work.lost:
            return [_lost(claim, self._max_attempts) for claim in claims]
        part = work.only({claim.document.id for claim in claims})
        return await retry(partial(self._put, part, lease), OUTAGE)

    async def _put(self, work: Work, lease: Lease | None) -> list[Outcome]:
        embedded: Counter[str] = Counter()
        unread: Counter[str] = Counter()
        for part in work.slices:
            await self._pipeline.write(part, lease)
            embedded += part.embedded
            unread += part.unread
        return await self._pipeline.finish(work.batch, embedded, unread, lease)


def _lost(claim: Claim, max_attempts: int) -> Outcome:
    """The outcome of a document whose process died: put back, or failed if it was alone and did so too often."""
    alone = claim.attempts >= SUSPICIOUS
    last = alone and claim.attempts + 1 >= max_attempts
    message = "the process that embedded this document died; Ray's logs may tell why"
    return Outcome(claim, error=message, error_code=WORKER_LOST, retry_in=None if last else 0.0)
