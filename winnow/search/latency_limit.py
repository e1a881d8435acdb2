"""A limit for work under way that follows the measured latency, for a model or for whole searches.

Beyond the load that a server can work on, more work at a time adds waiting and nothing else. The latency shows where
that begins, without knowing what the server is. The limit is the gradient form of TCP Vegas (Brakmo and Peterson,
"TCP Vegas: end to end congestion avoidance on a global Internet", IEEE JSAC 13(8), 1995) that Netflix published for
requests ("Performance under load", 2018): with ``base`` the latency without a queue and ``seconds`` that of a round,

    ``gradient = min(1, max(0.5, max(TOLERANCE * base, quick) / seconds))``
    ``limit = gradient * limit + sqrt(limit)``

so that a short queue keeps the server busy and a long one cannot build up. A server that works on one call at a time
ends at about four calls, one that works on eight at about twenty. Calls that time out shrink the limit at once (the
multiplicative decrease of AIMD, Chiu and Jain 1989).

``base`` is the mean of rounds in which the limit was not reached, and else the least that was seen. Where load hides it
for ``PROBE_SECONDS``, the limit is halved for some calls, again and again while the latency falls: one that does not
fall shows that there was no queue. Then the limit goes on from where it was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import fmean
from typing import Final, NamedTuple

TOLERANCE: Final = 2.0  # times the latency without a queue that is still no sign of one
PROBE_SECONDS: Final = 15.0
PROBE_LATENCIES: Final = 50
PROBE_CALLS: Final = 4
FEWEST: Final = 6  # calls in a round
_FULL: Final = 0.9  # share of the limit that must be used for it to grow
_LIGHT: Final = 0.5  # share of the limit up to which there is no queue
_AS_BEFORE: Final = 1.25  # a latency up to this multiple counts as the same
_DECREASE: Final = 0.7
_FIRST: Final = 2


class Turn(NamedTuple):
    """A piece of work that has begun: when, in which round, and how many were then under way."""

    began: float
    round: int
    busy: int


class LatencyLimit:
    """Belongs to one event loop.

    Args:
        quick: seconds that are short enough in any case: below, the limit only grows.
        most: upper bound; ``None`` for none.
        clock: a monotonic clock in seconds.

    Attributes:
        limit: how much may be under way now, at least 1.
        most: as given.
        base: seconds that work takes without a queue; 0 before the first round ends.
    """

    def __init__(self, *, quick: float, most: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.base = 0.0
        self._quick = quick
        self._clock = clock
        self._exact = float(min(_FIRST, most or _FIRST))
        self._round = 0
        self._seconds: list[float] = []  # that the work of this round took
        self._busiest = 0
        self._shrunk = -math.inf  # when work was given up last
        self._confirmed = clock()  # when the base was last known to be right
        self._full = self._exact, 0.0  # limit and latency before a series of probes
        self._before_probe: float | None = None  # latency before the last one

    @property
    def limit(self) -> int:
        return max(1, int(self._exact))

    def now(self) -> float:
        """The time by its clock."""
        return self._clock()

    def begin(self, busy: int) -> Turn:
        """Work begins, after which ``busy`` are under way."""
        return Turn(self._clock(), self._round, busy)

    def end(self, turn: Turn, away: float = 0.0) -> float:
        """Work has ended well: learn from it. Returns the seconds that it took, without those that it was ``away``."""
        took = self._clock() - turn.began - away
        if turn.round == self._round:
            self._seconds.append(took)
            self._busiest = max(self._busiest, turn.busy)
            if len(self._seconds) >= (PROBE_CALLS if self._before_probe is not None else max(FEWEST, self.limit)):
                self._close_round(fmean(self._seconds))
        return took

    def give_up(self, turn: Turn) -> float:
        """Work was given up because it took too long: shrink, unless it still felt what was there the last time.

        Returns the seconds that it took.
        """
        now = self._clock()
        took = now - turn.began
        if turn.began - self._shrunk >= took:
            self._exact = max(1.0, self._exact * _DECREASE)
            self._shrunk = now
            self._next_round()
        return took

    def _close_round(self, seconds: float) -> None:
        if self._before_probe is not None:
            self._judge_probe(seconds)
        elif self._busiest <= self._exact * _LIGHT:
            self._confirm((self.base + seconds) / 2 if self.base else seconds)
        else:
            self.base = min(self.base, seconds) if self.base else seconds
            self._follow(seconds)
        self._next_round()

    def _follow(self, seconds: float) -> None:
        """Take one step towards the load at which a queue begins."""
        if self._clock() - self._confirmed > max(PROBE_SECONDS, PROBE_LATENCIES * self.base) and self._exact > 1:
            self._full = self._exact, seconds
            self._probe(seconds)
            return
        grown = self._step(self._exact, seconds)
        if grown < self._exact:
            self._exact = self._bounded((self._exact + grown) / 2)
        elif self._busiest >= self.limit * _FULL:
            self._exact = self._bounded(grown)

    def _step(self, limit: float, seconds: float) -> float:
        gradient = min(1.0, max(0.5, max(TOLERANCE * self.base, self._quick) / max(seconds, 1e-9)))
        return limit * gradient + math.sqrt(limit)

    def _probe(self, seconds: float) -> None:
        self._before_probe = seconds
        self._exact = max(1.0, self._exact / 2)

    def _judge_probe(self, seconds: float) -> None:
        """Half the load was tried: if work was as slow as before, that is its latency, else there was a queue."""
        assert self._before_probe is not None
        before, self._before_probe = self._before_probe, None
        if seconds * _AS_BEFORE < before and self._exact > 1:
            self._probe(seconds)
            return
        near = self.base / _AS_BEFORE <= seconds <= self.base * _AS_BEFORE
        self._confirm(self.base if near else seconds)
        full, seconds_then = self._full
        self._exact = full if near else self._bounded(min(full, self._step(full, seconds_then)))

    def _confirm(self, base: float) -> None:
        self.base = base
        self._confirmed = self._clock()

    def _bounded(self, limit: float) -> float:
        return max(1.0, limit if self.most is None else min(limit, self.most))

    def _next_round(self) -> None:
        self._round += 1
        self._seconds.clear()
        self._busiest = 0
