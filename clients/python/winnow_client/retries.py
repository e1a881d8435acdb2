"""When a call is sent once more, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass

from winnow_client.errors import ConnectionFailed, RateLimited, Unavailable, WinnowApiError

_PASSING = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Retries:
    """The rules for repeating calls.

    Attributes:
        most: how often a call is repeated; 0 for never.
        first_pause: seconds before the first repetition where the service names none; doubled for each further one,
            and shortened by chance by up to a half, so that clients do not come back together.
        longest_pause: seconds; a service that asks for a longer wait gets none, its error is raised.
    """

    most: int = 2
    first_pause: float = 0.5
    longest_pause: float = 30.0

    def pause(self, error: WinnowApiError, attempt: int, *, repeatable: bool) -> float | None:
        """Seconds until the next try after try number ``attempt``, from 0; ``None`` to raise the error."""
        if attempt >= self.most or not _passes(error, repeatable=repeatable):
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.longest_pause else None
        pause = min(self.first_pause * 2**attempt, self.longest_pause)
        return float(pause * random.uniform(0.5, 1.0))  # noqa: S311 - not for secrecy


def _passes(error: WinnowApiError, *, repeatable: bool) -> bool:
    """Whether the same call may succeed later. What was refused was not done, so it may always be repeated."""
    if isinstance(error, ConnectionFailed):
        return repeatable
    return isinstance(error, RateLimited | Unavailable) and error.status in _PASSING
