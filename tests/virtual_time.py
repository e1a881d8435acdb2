"""An event loop whose time jumps to the next thing that is due: minutes of waiting pass in milliseconds."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class _Jump(selectors.SelectSelector):
    """Waits for nothing: it moves the time forward by as much as it was to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing is due")
        self.now += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a time of its own, in seconds. Network and threads do not fit it."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def run_virtually(work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work())


class Cores:
    """Processor sharing, in virtual time: all that computes shares ``cores`` equally, each gets one at most."""

    def __init__(self, cores: float) -> None:
        self._cores = cores
        self._loop = asyncio.get_running_loop()
        self._ends: list[tuple[float, int, asyncio.Future[None]]] = []
        self._given = 0.0  # seconds of a core that each has been given since the beginning
        self._at = self._loop.time()
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def compute(self, seconds: float) -> None:
        """Use this many seconds of a core."""
        self._advance()
        ended = self._loop.create_future()
        heapq.heappush(self._ends, (self._given + seconds, next(self._numbers), ended))
        self._set_timer()
        await ended

    def _share(self) -> float:
        return min(1.0, self._cores / len(self._ends))

    def _advance(self) -> None:
        now = self._loop.time()
        if self._ends:
            self._given += (now - self._at) * self._share()
        self._at = now

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._ends:
            left = max(0.0, self._ends[0][0] - self._given)
            self._timer = self._loop.call_later(left / self._share(), self._end)

    def _end(self) -> None:
        self._advance()
        while self._ends and self._ends[0][0] <= self._given + 1e-9:
            _, _, ended = heapq.heappop(self._ends)
            if not ended.done():
                ended.set_result(None)
        self._set_timer()
