"""Waiting for a catalog that does not answer, with what must not be lost in hand."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from winnow.core.errors import WinnowError

log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 120.0  # a restarted database is back by then; after it the leases bring the work back
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0

_Answer = TypeVar("_Answer")


async def patiently(
    call: Callable[[], Awaitable[_Answer]],
    *,
    patience: float = PATIENCE_SECONDS,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> _Answer:
    """Make a call that may be repeated, again and again with growing pauses while what it needs is down.

    Raises:
        WinnowError: what the call raises and time cannot heal, or not within ``patience`` seconds.
    """
    end, wait = time.monotonic() + patience, FIRST_PAUSE_SECONDS
    while True:
        try:
            return await call()
        except WinnowError as error:
            if not error.retryable or time.monotonic() + wait > end:
                raise
            log.warning("what was done waits %.1f s to be recorded: %s", wait, error.message)
        await pause(wait)
        wait = min(wait * 2, LONGEST_PAUSE_SECONDS)
