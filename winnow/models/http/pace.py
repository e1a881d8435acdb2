"""The pace of documents: how many texts a call holds and how many calls are under way, following the latency.

Whoever indexes may fill a server up, and then every query waits behind documents. More load than the server can work
on adds no throughput, only waiting; the latency shows where that begins, without knowing who else calls. So the load is
found by experiments, each of which compares a few calls at a changed load with a few at the present one:

- Twice the texts a call are kept if the throughput of a call grows by 15 % at least: a call costs something by itself,
  which more texts share. Half are kept if it falls by no more than they gave.
- More calls at a time are kept if throughput over the square of latency grows: the generalised power of Kleinrock
  ("Power and deterministic rules of thumb for probabilistic problems in computer communications", ICC 1979), whose
  maximum is the load at which a queue just begins. By Little's law both follow from the latency. A share of the server
  that is only taken from others does not pass this test, so that several processes leave each other theirs.

Where measurements are in doubt, less load wins: others experiment at the same time.
An experiment that failed is repeated after twice as many calls as before, for the server and its load may change. An
overloaded server halves the calls at once. Limits that follow the latency this way: Netflix's concurrency-limits, after
TCP Vegas (Brakmo and Peterson, 1995).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean
from typing import Final, Literal

from winnow.core.errors import UpstreamUnavailable
from winnow.core.retry import Clock

Change = Literal["more texts", "more calls", "fewer calls", "fewer texts"]

_SHORT: Final = 0.1  # seconds: calls may take this long, or twice what a call of one text takes
_MARGIN: Final = 1.15  # by which the throughput of a call must grow
_CREEP: Final = 1.05  # by which the latency that counts as usual may grow in a round
_OPPOSITE: Final[dict[Change, Change]] = {
    "fewer texts": "more texts",
    "fewer calls": "more calls",
    "more texts": "fewer texts",
    "more calls": "fewer calls",
}  # in the order in which they are tried
_FIRST_TEXTS: Final = 16
_FEWEST: Final = 4  # calls in a round
_ENOUGH: Final = 12
_ROUND_SECONDS: Final = 0.25  # after which few calls are enough
_LONGEST_PAUSE: Final = 128  # rounds between two experiments of one kind


@dataclass(slots=True)
class _Experiment:
    """How often one kind of change is tried: after ``pause`` rounds, of which ``left`` are still to come."""

    pause: int = 1
    left: int = 0

    def failed(self) -> None:
        self.pause = min(2 * self.pause, _LONGEST_PAUSE)
        self.left = self.pause

    def passed(self) -> None:
        self.pause, self.left = 1, 0


class Pace:
    """Belongs to one event loop.

    Args:
        most_texts: of a call.
        most_calls: at one time.
        clock: in seconds, monotonic.

    Attributes:
        texts: of a call, at present.
        calls: at one time, at present.
        most_calls: as given.
    """

    def __init__(self, *, most_texts: int, most_calls: int, clock: Clock = time.monotonic) -> None:
        self._most_texts = most_texts
        self.most_calls = most_calls
        self.start_at(_FIRST_TEXTS, 1)
        self._clock = clock
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._round = 0
        self._seconds: list[float] = []  # that the calls of this round took
        self._began = clock()  # the round
        self._settled: tuple[int, int] | None = None  # the load outside of experiments, whose latency is known
        self._usual = self._latest = 0.0  # latency at that load: as a rule, and in the last round
        self._alone = 0.0  # shortest latency of calls with one text
        self._trying: Change | None = None
        self._experiments: dict[Change, _Experiment] = {change: _Experiment() for change in _OPPOSITE}

    def start_at(self, texts: int, calls: int) -> None:
        """Begin with this load, within the limits, instead of a small one."""
        self.texts, self.calls = min(texts, self._most_texts), min(calls, self.most_calls)

    def limit(self, texts: int) -> None:
        """Put no more than ``texts`` into a call from now on."""
        if texts < self._most_texts:
            self._most_texts = texts
            self.texts = min(self.texts, texts)
            self._settled = None
            self._begin(None)

    async def enter(self) -> PacedCall:
        """Wait for a call's turn, which ends with ``leave``."""
        if self._under_way < self.calls:
            self._under_way += 1
        else:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # it was ours already: pass it on
                    self._under_way -= 1
                    self._wake()
                raise
        return PacedCall(self._round, self.texts, full=self._under_way >= self.calls)

    @contextmanager
    def timing(self, call: PacedCall, texts: int) -> Iterator[None]:
        """Learn from how long a call with this number of texts takes, or from how it fails.

        Calls that held fewer texts than they might, or had fewer beside them, say nothing about the load.
        """
        began = self._clock()
        try:
            yield
        except UpstreamUnavailable:
            self._ease()
            raise
        if call.round == self._round and call.full and texts == call.texts:
            now = self._clock()
            self._seconds.append(now - began)
            count, long = len(self._seconds), now - self._began >= _ROUND_SECONDS
            if count >= max(_FEWEST if long else _ENOUGH, 2 * self.calls):
                self._judge(fmean(sorted(self._seconds)[: count - count // 4]))

    def leave(self) -> None:
        """End a call's turn."""
        self._under_way -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self._under_way < self.calls:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._under_way += 1

    def _judge(self, latency: float) -> None:
        """Take the result of a round, the mean without its slowest quarter, and begin the next one."""
        if self.texts == 1:
            self._alone = min(self._alone or latency, latency)
        change = self._trying
        if change is None:
            usual = self._usual if self._settled == (self.texts, self.calls) else latency
            self._settle(min(latency, usual * _CREEP), latency)
        elif self._pays(change, latency):
            self._experiments[change].passed()
            self._experiments[_OPPOSITE[change]].failed()
            self._settle(latency, latency)
        else:
            self._experiments[change].failed()
            assert self._settled is not None
            self.texts, self.calls = self._settled
            self._begin(None)
            return
        self._begin(self._next())

    def _settle(self, usual: float, latest: float) -> None:
        self._settled = self.texts, self.calls
        self._usual, self._latest = usual, latest

    def _pays(self, change: Change, latency: float) -> bool:
        """Whether the change under trial is to be kept. More load has to be better than usual, less than it was."""
        assert self._settled is not None
        texts, calls = self._settled
        match change:
            case "more texts":
                short = latency <= max(_SHORT, 2 * self._alone)
                return short and self.texts / texts * self._usual / latency >= _MARGIN
            case "fewer texts":
                return self.texts / texts * self._latest / latency >= 1 / _MARGIN
            case "more calls":
                return self.calls / calls * (self._usual / latency) ** 3 >= 1
            case "fewer calls":
                return self.calls / calls * (self._latest / latency) ** 3 >= 1

    def _next(self) -> Change | None:
        """The experiment that is due, if any."""
        due = None
        for change, experiment in self._experiments.items():
            if experiment.left:
                experiment.left -= 1
            elif due is None and self._changed(change) != (self.texts, self.calls):
                due = change
        return due

    def _changed(self, change: Change) -> tuple[int, int]:
        """Texts and calls after a change, within the limits."""
        match change:
            case "more texts":
                return min(2 * self.texts, self._most_texts), self.calls
            case "fewer texts":
                return max(1, self.texts // 2), self.calls
            case "more calls":
                return self.texts, min(self.calls + max(1, self.calls // 4), self.most_calls)
            case "fewer calls":
                return self.texts, max(1, self.calls - max(1, self.calls // 5))

    def _begin(self, change: Change | None) -> None:
        self._trying = change
        if change is not None:
            self.texts, self.calls = self._changed(change)
        self._round += 1
        self._began = self._clock()
        self._seconds.clear()

    def _ease(self) -> None:
        self.calls = max(1, self.calls // 2)
        self._settled = None
        self._experiments["more calls"].failed()
        self._begin(None)


@dataclass(frozen=True, slots=True)
class PacedCall:
    """A call that has its turn: ``texts`` is the most that it may hold."""

    round: int
    texts: int
    full: bool
