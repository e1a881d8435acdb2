"""Retries with back-off, a time limit, a retry budget and a server's ``Retry-After``; built on ``stamina``.

Retries multiply the load on a server that is already in trouble. So they can be held to a share of all calls: every
call puts a fraction of a retry into a budget, every retry takes a whole one out (the scheme of Finagle's
``RetryBudget`` and of "Handling Overload" in Google's SRE book). Few calls have a floor of retries that grows back with
time.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Final, TypeVar

import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from winnow.core.errors import WinnowError

log = logging.getLogger(__name__)

_SHARE: Final = 0.2  # retries that a call earns
_FLOOR: Final = 10.0  # retries that are available without any calls
_REGROWTH: Final = 0.2  # retries a second
_LONGEST_RETRY_AFTER: Final = 3600.0

Clock = Callable[[], float]
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How many tries a call gets, and how far apart. All times are in seconds.

    Attributes:
        attempts: tries, the first included; ``None`` sets no limit.
        seconds: time limit of the call, its retries included; ``inf`` sets none.
        first_wait: before the first retry; doubles with each one that follows.
        longest_wait: bounds the doubling.
        jitter: the longest random addition to a wait.
        wait_limit: no retry follows where the wait, a server's ``Retry-After`` included, would be longer.
    """

    attempts: int | None = None
    seconds: float = math.inf
    first_wait: float = 0.1
    longest_wait: float = 5.0
    jitter: float = 0.0
    wait_limit: float = math.inf

    def wait(self, failures: int, asked: float | None = None) -> float:
        """Seconds to wait after this number of failures; ``asked`` is what the server asked for."""
        spread = random.uniform(0, self.jitter)  # noqa: S311 - no secret
        if asked is not None:
            return asked + spread
        return float(min(self.longest_wait, self.first_wait * 2.0 ** min(failures - 1, 1000) + spread))


REMOTE_CALL: Final = RetryPolicy(attempts=5, jitter=0.2)
"""For one call of a model or a vector store; its time limit is a setting."""


class TimeLimit:
    """The time limit of a call, by a clock that only grows."""

    def __init__(self, seconds: float, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds until the limit; never zero, which some clients take for no limit."""
        return max(0.001, self._end - self.clock())

    def allows(self, seconds: float) -> bool:
        """Tell whether something that takes this long can end in time."""
        return self.clock() + seconds <= self._end


class RetryBudget:
    """The number of retries that one client may still make."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._left = _FLOOR
        self._as_of = clock()

    def record_call(self) -> None:
        """Add a call's share of a retry, and what has grown back since the last call."""
        now = self._clock()
        self._left = min(_FLOOR, self._left + _SHARE + _REGROWTH * (now - self._as_of))
        self._as_of = now

    def take(self) -> bool:
        """Take out one retry; false if none is left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


def is_retryable(error: Exception, tries: int) -> bool:  # noqa: ARG001 - one of the tests that `retry` takes
    """Tell whether the same call may succeed later, according to the error."""
    return isinstance(error, WinnowError) and error.retryable


async def retry(
    call: Callable[[], Awaitable[_Answer]],
    policy: RetryPolicy,
    *,
    again: Callable[[Exception, int], bool] = is_retryable,
    time_limit: TimeLimit | None = None,
    budget: RetryBudget | None = None,
    on_wait: Callable[[float], None] = lambda _: None,
) -> _Answer:
    """Make a call that may be repeated, and repeat it while its errors may pass.

    A retry begins only if it can end in time: after the wait, the time left must be at least what the failed try took.
    An error's ``retry_after``, if it has one, replaces the usual wait.

    Args:
        call: one try.
        policy: number of tries and waits.
        again: whether an error of the try with this number, from 1, may pass.
        time_limit: a time limit that runs already, in place of ``policy.seconds``.
        budget: shared by the calls of one client.
        on_wait: called with the seconds of each wait before it begins.

    Raises:
        Exception: of the last try, as it is.
        CancelledError: the caller gave up; its cause is what the last try failed with, if one did.
    """
    _log_retries()
    decision = _Decision(policy, again, time_limit or TimeLimit(policy.seconds), budget, on_wait)
    if budget is not None:
        budget.record_call()
    decision.begin()
    try:
        return await call()  # most calls end here, and pay for no machinery of retries
    except Exception as error:  # noqa: BLE001 - raised again, at once or by the last attempt
        first = error
    try:
        return await _repeat(call, decision, first)
    except asyncio.CancelledError as given_up:
        given_up.__cause__ = decision.failure
        raise


async def _repeat(call: Callable[[], Awaitable[_Answer]], decision: _Decision, first: Exception) -> _Answer:
    """Make a call again whose first try has failed, as often as it is decided."""
    failed: Exception | None = first
    async for attempt in stamina.retry_context(on=decision, attempts=None, timeout=None):
        with attempt:
            if failed is not None:
                known, failed = failed, None
                raise known
            decision.begin()
            return await call()
    raise AssertionError("unreachable: the last attempt returns or raises")


@dataclass(slots=True)
class _Decision:
    """Tells ``stamina`` whether an error is followed by another try, and after how many seconds."""

    policy: RetryPolicy
    again: Callable[[Exception, int], bool]
    time_limit: TimeLimit
    budget: RetryBudget | None
    on_wait: Callable[[float], None]
    tries: int = 0
    began: float = 0.0
    failure: Exception | None = None

    def begin(self) -> None:
        self.tries += 1
        self.began = self.time_limit.clock()

    def __call__(self, error: Exception) -> bool | float:
        policy = self.policy
        self.failure = error
        if (policy.attempts is not None and self.tries >= policy.attempts) or not self.again(error, self.tries):
            return False
        wait = policy.wait(self.tries, getattr(error, "retry_after", None))
        took = self.time_limit.clock() - self.began
        if wait > policy.wait_limit or not self.time_limit.allows(wait + took):
            return False
        if self.budget is not None and not self.budget.take():
            return False
        self.on_wait(wait)
        return wait


def parse_retry_after(value: str | None) -> float | None:
    """Seconds from a ``Retry-After`` header: a number or an HTTP date (RFC 9110, 10.2.3); ``None`` if it is neither.

    At most an hour.
    """
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
    return None if math.isnan(seconds) else min(max(0.0, seconds), _LONGEST_RETRY_AFTER)


@cache
def _log_retries() -> None:
    """Log every retry of the process with its error, in place of ``stamina``'s own line, which lacks it."""
    set_on_retry_hooks([_log_retry])


def _log_retry(details: RetryDetails) -> None:
    log.warning("%s; try %d follows in %.2f s", details.caused_by, details.retry_num + 1, details.wait_for)
