"""Goodput of admission under more load than there is capacity: simulated services in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Final, Literal, TypeAlias

import numpy as np
import pytest

from tests.virtual_time import Cores, run_virtually
from winnow.core.errors import DeadlineExceeded, Overloaded, UpstreamSaturated
from winnow.core.principal import Principal
from winnow.operations.admission import Admission
from winnow.search import limits
from winnow.search.guarded_models import ModelGuard
from winnow.search.limits import SearchDeadline

Kind: TypeAlias = Literal["cpu", "remote"]
Search: TypeAlias = Callable[[SearchDeadline], Awaitable[None]]

CALLER: Final = Principal(kind="key", subject="k")
BUDGET_MS: Final = 3000.0
CORES: Final = 2
COMPUTING: Final = 0.02  # seconds of a core
ASKING: Final = 0.4  # seconds that a call of the remote model takes
AT_ONCE: Final = 8  # calls that the model answers at a time
CAPACITY: Final[dict[Kind, float]] = {"cpu": CORES / COMPUTING, "remote": AT_ONCE / ASKING}
USUAL: Final[dict[Kind, float]] = {"cpu": 0.75, "remote": 4 * ASKING}  # seconds that half of the answers may take
SECONDS: Final[dict[Kind, float]] = {"cpu": 10, "remote": 40}


@dataclass
class Outcome:
    """How searches ended: seconds of those answered and of those turned away, and the number of those too late."""

    good: list[float] = field(default_factory=list)
    shed: list[float] = field(default_factory=list)
    late: int = 0


class Simulated:
    """A service whose searches compute on two cores, or ask a remote model as well, with ``noise`` (log-normal)."""

    def __init__(self, kind: Kind, noise: float) -> None:
        self.chance = random.Random(7)
        self._kind, self._noise = kind, noise
        self._loop = asyncio.get_running_loop()
        self._admission = Admission(None, clock=self._loop.time)
        self._guard = ModelGuard("m", remote=True, clock=self._loop.time)
        self._cores = Cores(CORES)
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def offer(self, rate: float, seconds: float) -> Outcome:
        """Searches at random times (a Poisson process), whether or not earlier ones have ended."""
        found, end, tasks = Outcome(), self._loop.time() + seconds, []
        while self._loop.time() < end:
            await asyncio.sleep(self.chance.expovariate(rate))
            tasks.append(asyncio.create_task(self._search(found)))
        await asyncio.gather(*tasks)
        return found

    async def _search(self, found: Outcome) -> None:
        began, deadline = self._loop.time(), SearchDeadline(BUDGET_MS)
        try:
            await self._admission.run(lambda: deadline.within(self._work(), "search"), CALLER, deadline)
        except (Overloaded, UpstreamSaturated):
            found.shed.append(self._loop.time() - began)
        except DeadlineExceeded:
            found.late += 1
        else:
            found.good.append(self._loop.time() - began)

    async def _work(self) -> None:
        await self._cores.compute(self._noisy(COMPUTING if self._kind == "cpu" else 0.002))
        if self._kind == "remote":
            await self._guard.call(self._ask)

    async def _ask(self) -> None:
        async with self._slots:
            await asyncio.sleep(self._noisy(ASKING))

    def _noisy(self, seconds: float) -> float:
        return seconds * self.chance.lognormvariate(-(self._noise**2) / 2, self._noise)


def outcome(kind: Kind, noise: float, factor: float, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """What becomes of ``factor`` times what the service can do, after it has run at half of that for three seconds."""

    async def work() -> Outcome:
        monkeypatch.setattr(limits, "time", SimpleNamespace(perf_counter=asyncio.get_running_loop().time))
        service = Simulated(kind, noise)
        await service.offer(CAPACITY[kind] / 2, 3)
        return await service.offer(factor * CAPACITY[kind], SECONDS[kind])

    return run_virtually(work)


@pytest.mark.parametrize("factor", [1.2, 2, 3, 6])
@pytest.mark.parametrize("noise", [0.0, 0.7])
@pytest.mark.parametrize("kind", ["cpu", "remote"])
def test_as_many_searches_are_answered_as_the_service_can_do(
    kind: Kind, noise: float, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = outcome(kind, noise, factor, monkeypatch)
    assert len(found.good) >= 0.9 * CAPACITY[kind] * SECONDS[kind]
    assert np.percentile(found.good, 50) <= USUAL[kind]
    assert np.percentile(found.shed, 95) <= 0.05
    assert found.late <= 0.02 * len(found.good)


@pytest.mark.parametrize("kind", ["cpu", "remote"])
def test_a_service_that_can_do_it_turns_next_to_nothing_away(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    found = outcome(kind, 0.5, 0.8, monkeypatch)
    assert len(found.shed) + found.late <= 0.02 * len(found.good)
