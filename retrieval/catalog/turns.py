"""Fairness between collections that have work at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Queue:
    """A collection with work that is due: the priority of its first document and since when that waits."""

    uid: str
    priority: int
    waiting_since: datetime


class Turns:
    """Whose turn it is: among the queues of the highest priority the one that was served longest ago."""

    def __init__(self) -> None:
        self._served: dict[str, int] = {}
        self._round = 0

    def order(self, queues: Sequence[Queue]) -> list[Queue]:
        """Sort queues, next one first."""
        return sorted(queues, key=lambda q: (-q.priority, self._served.get(q.uid, 0), q.waiting_since, q.uid))

    def served(self, uid: str) -> None:
        """Send a collection to the end of the line."""
        self._round += 1
        self._served[uid] = self._round
