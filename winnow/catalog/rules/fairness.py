"""Fairness between collections and between priorities that have work at the same time.

Every process keeps its own turns: with several workers each is fair by itself, and so are all of them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

SHARE: Final = 4  # one turn in so many goes to the priority below, so that bulk work never starves
DEEPEST: Final = 3


@dataclass(frozen=True, slots=True)
class Queue:
    """A collection with work that is due: the priority of its first document and since when that waits."""

    uid: str
    priority: int
    waiting_since: datetime


class FairOrder:
    """Whose turn it is: among the queues of a priority the one that was served longest ago.

    Three turns in four go to the highest priority that waits, three in sixteen to the next one, and so on.
    """

    def __init__(self) -> None:
        self._served: dict[str, int] = {}
        self._round = 0

    def levels_passed(self) -> int:
        """How many levels of priority the next turn passes over."""
        number, depth = self._round + 1, 0
        while number % SHARE == 0 and depth < DEEPEST:
            number, depth = number // SHARE, depth + 1
        return depth

    def order(self, queues: Sequence[Queue]) -> list[Queue]:
        """Sort queues, next one first."""
        return sorted(queues, key=lambda q: (-q.priority, self._served.get(q.uid, 0), q.waiting_since, q.uid))

    def served(self, uid: str) -> None:
        """Send a collection to the end of the line."""
        self._round += 1
        self._served[uid] = self._round
