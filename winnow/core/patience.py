"""Whether and when a failed call is made again.

Retries multiply the load on a provider that is already in trouble. So they are a share of all calls: every call puts
a fraction of a retry into a budget, every retry takes a whole one out (the scheme of Finagle's ``RetryBudget`` and of
"Handling Overload" in Google's SRE book). Few calls have a floor of retries that grows back with time.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from winnow.core.errors import UpstreamUnavailable

log = logging.getLogger(__name__)

ATTEMPTS: Final = 5
WAIT_INITIAL: Final = 0.1  # seconds; doubles with each retry
WAIT_MAX: Final = 5.0
WAIT_JITTER: Final = 0.2
QUOTA_ATTEMPTS: Final = 2  # a used up quota is often a matter of a moment, else of days

_SHARE: Final = 0.2  # retries a call
_FLOOR: Final = 10.0  # retries that are there without any calls
_REGROWTH: Final = 0.2  # retries a second
_LONGEST_RETRY_AFTER: Final = 3600.0

Clock = Callable[[], float]


class QuotaSpent(UpstreamUnavailable):
    """The account's quota is used up: worth one more try, no more. Does not leave ``winnow.models.http``."""


class RetryBudget:
    """How many retries one client may still make."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._left = _FLOOR
        self._as_of = clock()

    def record_call(self) -> None:
        """Put in a call's share of a retry, and what has grown back since the last call."""
        now = self._clock()
        self._left = min(_FLOOR, self._left + _SHARE + _REGROWTH * (now - self._as_of))
        self._as_of = now

    def take(self) -> bool:
        """Take out one retry; false where none is left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Patience:
    """The patience with one call: tells ``stamina`` whether an error is followed by another try, and when.

    A retry begins only if it can end in time: what is left after the wait must be as long as the failed try took.
    """

    def __init__(self, budget: RetryBudget, seconds: float, clock: Clock = time.monotonic) -> None:
        self._budget = budget
        self._clock = clock
        self._deadline = clock() + seconds
        self._began = 0.0
        self._tries = 0

    def begin(self) -> float:
        """Start a try; returns the seconds that it may take."""
        self._began = self._clock()
        self._tries += 1
        return max(0.001, self._deadline - self._began)

    def __call__(self, error: Exception) -> bool | float:
        """Whether to try again; as a number, after how many seconds, instead of the usual wait."""
        if not isinstance(error, UpstreamUnavailable):
            return False
        if isinstance(error, QuotaSpent) and self._tries >= QUOTA_ATTEMPTS:
            return False
        now = self._clock()
        asked = error.retry_after
        wait = self._usual_wait() if asked is None else asked + WAIT_JITTER
        if now + wait + (now - self._began) > self._deadline or not self._budget.take():
            return False
        return True if asked is None else asked + random.uniform(0, WAIT_JITTER)  # noqa: S311 - no secret

    def _usual_wait(self) -> float:
        """The longest that ``stamina`` waits after this try."""
        return min(WAIT_MAX, WAIT_INITIAL * 2.0 ** (self._tries - 1) + WAIT_JITTER)


def parse_retry_after(value: str | None) -> float | None:
    """Seconds from a ``Retry-After`` header: a number or an HTTP date (RFC 9110, 10.2.3); ``None`` if it is neither."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(0.0, seconds), _LONGEST_RETRY_AFTER) if seconds == seconds else None  # noqa: PLR0124 - NaN


def report_retries() -> None:
    """Log every retry of the process with the provider's name, instead of ``stamina``'s own line, which lacks it."""
    set_on_retry_hooks([_log_retry])


def _log_retry(details: RetryDetails) -> None:
    log.warning("%s; try %d follows in %.2f s", details.caused_by, details.retry_num + 1, details.wait_for)
