"""A circuit breaker for one model: after a failure it is left alone for seconds, then tried by one call at a time.

A failure counts where no other call was answered since the failed one began: a model that answers others is not gone.
(Nygard, "Release it!", 2007; here with one trial at a time and a rest that doubles.)
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

from winnow.core.errors import UpstreamUnavailable

FIRST_REST: Final = 1.0  # seconds
LONGEST_REST: Final = 30.0
SILENCE: Final = 0.25  # seconds without an answer after which a call that was given up counts as a failure


class LeftAlone(UpstreamUnavailable):
    """The model is left alone after a failure; the call was not sent."""


class Breaker:
    """Belongs to one event loop.

    Args:
        clock: a monotonic clock in seconds.

    Attributes:
        failures: in a row; 0: calls go through.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.failures = 0
        self._answered = 0.0
        self._silent_since = 0.0  # the first call that began after the last answer
        self._due = 0.0
        self._trial: float | None = None  # when the call began that tries the model
        self._complaint = ""

    @property
    def open(self) -> bool:
        """Whether calls are refused, but for one that tries the model."""
        return self.failures > 0

    def check(self) -> None:
        """Raise ``LeftAlone``, with the last failure, while the model is left alone."""
        if not self.failures:
            return
        now = self._clock()
        if self._trial is not None or now < self._due:
            message = f"left alone for a moment after it failed: {self._complaint}"
            raise LeftAlone(message, retry_after=max(self._due - now, FIRST_REST))

    def begin(self) -> float:
        """Begin a call: returns when, to be handed to ``succeed``, ``fail`` or ``leave``. Raises as ``check``."""
        self.check()
        now = self._clock()
        if self.failures:
            self._trial = now
        if self._silent_since <= self._answered:
            self._silent_since = now
        return now

    def succeed(self, began: float) -> None:
        """A call was answered, if only by a refusal."""
        self._answered = self._clock()
        self.failures = 0
        self._end_trial(began)

    def fail(self, began: float, complaint: str) -> None:
        """A call found the model gone."""
        is_trial = self._trial == began
        self._end_trial(began)
        if self._answered >= began or (self.failures and not is_trial):
            return
        self.failures += 1
        self._complaint = complaint
        rest = min(LONGEST_REST, FIRST_REST * 2.0 ** min(self.failures - 1, 10))
        self._due = self._clock() + rest * random.uniform(0.8, 1.2)  # noqa: S311 - no secret

    def leave(self, began: float, complaint: str, usual: float) -> None:
        """A call was given up: a failure if it was long, and no call was answered in twice the ``usual`` seconds."""
        now = self._clock()
        if now - began >= SILENCE and now - self._silent_since >= 2 * usual:
            self.fail(began, complaint)
        else:
            self._end_trial(began)

    def _end_trial(self, began: float) -> None:
        if self._trial == began:
            self._trial = None
