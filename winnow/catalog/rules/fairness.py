"""Fairness between collections and between priorities that have work at the same time.

Every process keeps an order of its own: several workers are fair together because each of them is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

SHARE: Final = 4  # one turn in four goes to the priority below, so that bulk work never starves
DEEPEST: Final = 3


@dataclass(frozen=True, slots=True)
class Queue:
    """A collection with work that is due: its name, and its first document, with the time since which it waits."""

    uid: str
    collection: str
    priority: int
    waiting_since: datetime
    document_id: str


class FairOrder:
    """The order of service: among the queues of a priority, the one that was served longest ago comes first.

    Three turns in four go to the highest priority that waits, three in sixteen to the next one, and so on.
    """

    def __init__(self) -> None:
        self._served: dict[str, int] = {}
        self._round = 0

    def levels_passed(self) -> int:
        """The number of priority levels that the next turn skips."""
        number, depth = self._round + 1, 0
        while number % SHARE == 0 and depth < DEEPEST:
            number, depth = number // SHARE, depth + 1
        return depth

    def order(self, queues: Sequence[Queue]) -> list[Queue]:
        """Sort queues, next one first."""
        return sorted(queues, key=lambda q: (-q.priority, self._served.get(q.uid, 0), q.waiting_since, q.uid))

    def served(self, uid: str) -> None:
        """Put a collection last in the order."""
        self._round += 1
        self._served[uid] = self._round
