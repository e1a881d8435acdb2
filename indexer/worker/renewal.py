"""Keeping a lease for as long as its batch is in hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from indexer.worker.lease import Lease
from winnow.core.errors import WinnowError
from winnow.ports import Claim, WorkQueue

log = logging.getLogger(__name__)


@asynccontextmanager
async def renewing(
    queue: WorkQueue, owner: str, claims: Sequence[Claim], lease: Lease, seconds: float
) -> AsyncIterator[None]:
    """Renew the lease of ``owner`` on ``claims``, for ``seconds`` each time, until the body ends."""
    task = asyncio.create_task(_renew(queue, owner, claims, lease, seconds))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _renew(queue: WorkQueue, owner: str, claims: Sequence[Claim], lease: Lease, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds / 3)
        since = lease.now()
        try:
            if await queue.renew(owner, claims, lease_seconds=seconds):
                lease.renew(since)
        except WinnowError as error:
            log.warning("lease not renewed: %s", error.message)
