"""The loop that claims work: how it pauses, and how much it claims."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from indexer.worker import claims
from indexer.worker.claims import MAX_PAUSE_SECONDS, REFILL_SECONDS, ClaimLoop, release_leases
from winnow.core.errors import UpstreamUnavailable
from winnow.core.settings import IndexingSettings
from winnow.core.types import Document
from winnow.ports import Claim, Outcome, WorkQueue


class Queue:
    """Is down for a number of calls, then has nothing to do."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    async def claim(self, owner: str, **_: Any) -> Sequence[Claim]:
        if self.failures:
            self.failures -= 1
            raise UpstreamUnavailable(f"{owner} gets no answer")
        return ()

    async def release(self, owner: str, *, tried: bool) -> None:
        raise UpstreamUnavailable(f"{owner} gets no answer")


async def test_an_idle_worker_looks_rarely_for_what_an_index_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    refills, now = 0, 1000.0

    async def refill() -> int:
        nonlocal refills
        refills += 1
        return 0

    async def pause(seconds: float, *, down: bool) -> None:
        nonlocal now
        now += 1.0

    monkeypatch.setattr(claims, "time", SimpleNamespace(monotonic=lambda: now))
    queue = Queue(failures=0)
    loop = _loop(queue, refill, pause)
    for _ in range(30):
        await loop.step()
    assert refills == 30 // REFILL_SECONDS


def _loop(queue: Any, refill: Any, pause: Any) -> ClaimLoop:
    async def carry_out(*_: object) -> Sequence[Any]:
        raise AssertionError("there is no work")

    return ClaimLoop(
        queue=queue,
        owner="me",
        settings=IndexingSettings(),
        limit=1,
        carry_out=carry_out,
        refill=refill,
        pause=pause,
    )


async def pauses_of(queue: Queue, steps: int, refilled: int = 0) -> list[tuple[float, bool]]:
    pauses: list[tuple[float, bool]] = []

    async def pause(seconds: float, *, down: bool) -> None:
        pauses.append((seconds, down))

    async def refill() -> int:
        return refilled

    loop = _loop(queue, refill, pause)
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
    await release_leases(cast("WorkQueue", Queue(failures=0)), "me", tried=True)


class Full:
    """Has as much work as is asked for, and notes how much that is."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.left = 10_000

    async def claim(self, owner: str, *, limit: int, **_: Any) -> Sequence[Claim]:
        self.asked.append(limit)
        found = min(limit, self.left)
        self.left -= found
        return [Claim("docs", "index", Document(str(number), "text"), 1, 1) for number in range(found)]


async def sizes_of(
    seconds: Sequence[float], monkeypatch: pytest.MonkeyPatch, queue: Full, error: str = ""
) -> list[int]:
    """What is claimed while batches take these seconds."""
    clock = [0.0]
    monkeypatch.setattr(claims, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    taken = iter(seconds)

    async def carry_out(batch: Sequence[Claim], _: object) -> Sequence[Outcome]:
        clock[0] += next(taken)
        return [Outcome(claim, error=error or None, waited=bool(error)) for claim in batch]

    async def never(*_: object, **__: object) -> int:
        return 0

    loop = ClaimLoop(
        queue=cast("WorkQueue", queue),
        owner="me",
        settings=IndexingSettings(),
        limit=10,
        carry_out=carry_out,
        refill=never,
        pause=cast("claims.Pause", never),
        most=60,
    )
    for _ in seconds:
        await loop.step()
    return queue.asked


async def test_quick_batches_grow_and_slow_ones_shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    quick, slow, usual = claims.QUICK_SECONDS / 2, claims.SLOW_SECONDS * 2, 1.0
    seconds = [quick, quick, quick, quick, usual, slow, slow, slow, slow, usual]
    assert await sizes_of(seconds, monkeypatch, Full()) == [10, 20, 40, 60, 60, 60, 30, 15, 10, 10]


async def test_a_batch_that_was_not_full_or_met_an_outage_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    few = Full()
    few.left = 9
    assert await sizes_of([0.0, 0.0], monkeypatch, few) == [10, 10]
    assert await sizes_of([0.0, 0.0], monkeypatch, Full(), error="it is down") == [10, 10]
