"""A clock for what counts seconds that only grow."""

from __future__ import annotations


class Ticks:
    """Seconds that pass when they are told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
