"""A forecast of how long work takes that begins beside other work, from two figures: latency without a queue, and rate.

Whoever is the ``n``-th under way at a server that does ``rate`` a second leaves after ``max(base, n / rate)`` seconds.
The rate follows from Little's law: ``busy / seconds`` of what has ended. Without a queue that is a lower bound, and the
forecast hopes for twice as much: else a server that does much at a time would never be tried with more. How far
forecasts were off is kept as a ratio, which a change of load does not disturb.
"""

from __future__ import annotations

import math
from typing import Final

_WEIGHT: Final = 0.1  # of the newest measurement
_QUEUED: Final = 1.25  # a latency from this multiple of the base on shows a queue
_HOPE: Final = 2.0
_CAUTION: Final = 2.0  # deviations that are added


class LatencyForecast:
    """Learns from each piece of work that ends.

    Attributes:
        rate: work that ends in a second where there is always some; 0 before the first ends.
    """

    def __init__(self) -> None:
        self.rate = 0.0
        self._is_bound = False  # whether the rate may be higher
        self._least = math.inf  # seconds; stands in for the base until that is known
        self._ratio = 1.0  # of seconds to the forecast
        self._deviation = 0.0

    def learn(self, seconds: float, busy: int, base: float) -> None:
        """Work took this long that was the ``busy``-th under way when it began."""
        seen = busy / max(seconds, 1e-6)
        self._least = min(self._least, seconds)
        if not self.rate:
            self.rate, self._is_bound = seen, True
            return
        ratio = seconds / self._plain(busy, base)
        self._deviation += _WEIGHT * (abs(ratio - self._ratio) - self._deviation)
        self._ratio += _WEIGHT * (ratio - self._ratio)
        queued = seconds > (base or self._least) * _QUEUED
        if queued or seen > self.rate:
            self.rate += _WEIGHT * (seen - self.rate)
            self._is_bound = not queued

    def give_up(self, seconds: float, busy: int) -> None:
        """Work was given up after this long: the rate is lower than ``busy / seconds``."""
        self.rate += _WEIGHT * min(0.0, busy / max(seconds, 1e-6) - self.rate)

    def seconds(self, busy: int, base: float) -> float:
        """Seconds that the ``busy``-th under way takes, with what it may take longer; 0 if nothing is known."""
        return self._plain(busy, base) * (self._ratio + _CAUTION * self._deviation) if self.rate else 0.0

    def interval(self) -> float:
        """Seconds between the ends of two pieces of work; 0 if nothing is known."""
        return 1 / self._hoped() if self.rate else 0.0

    def _plain(self, busy: int, base: float) -> float:
        return max(base or self._least, busy / self._hoped())

    def _hoped(self) -> float:
        return self.rate * _HOPE if self._is_bound else self.rate
