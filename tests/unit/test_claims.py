"""The loop that claims work: how it pauses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from indexer.worker import claims
from indexer.worker.claims import MAX_PAUSE_SECONDS, ClaimLoop, release_leases
from winnow.core.errors import UpstreamUnavailable
from winnow.core.settings import IndexingSettings
from winnow.ports import Claim, WorkQueue


class Queue:
    """Is down for a number of calls, then has nothing to do."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    async def claim(self, owner: str, **_: Any) -> Sequence[Claim]:
        if self.failures:
            self.failures -= 1
            raise UpstreamUnavailable(f"{owner} gets no answer")
        return ()

    async def release(self, owner: str) -> None:
        raise UpstreamUnavailable(f"{owner} gets no answer")


async def pauses_of(queue: Queue, steps: int, refilled: int = 0) -> list[tuple[float, bool]]:
    pauses: list[tuple[float, bool]] = []

    async def pause(seconds: float, *, down: bool) -> None:
        pauses.append((seconds, down))

    async def refill() -> int:
        return refilled

    async def carry_out(*_: object) -> Sequence[Any]:
        raise AssertionError("there is no work")

    loop = ClaimLoop(
        queue=cast("WorkQueue", queue),
        owner="me",
        settings=IndexingSettings(),
        limit=1,
        carry_out=carry_out,
        refill=refill,
        pause=pause,
    )
    for _ in range(steps):
        await loop.step()
    return pauses


async def test_pauses_grow_while_the_queue_is_down_and_start_again_after_an_answer() -> None:
    queue = Queue(failures=14)
    grown = [(min(claims.POLL_SECONDS * 2**step, MAX_PAUSE_SECONDS), True) for step in range(14)]
    assert await pauses_of(queue, 15) == [*grown, (claims.POLL_SECONDS, False)]


async def test_there_is_no_pause_after_more_work_was_queued() -> None:
    assert await pauses_of(Queue(failures=0), 3, refilled=2) == []


async def test_a_queue_that_is_down_does_not_fail_the_release() -> None:
    await release_leases(cast("WorkQueue", Queue(failures=0)), "me")
