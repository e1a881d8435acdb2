"""Where a process looks for due work while the head of the queue is costly to walk. Pure.

A row that is done leaves dead entries of an index behind, at the queue's head, until the database vacuums them: on
PostgreSQL that waits for the oldest snapshot. A walk from the head passes all of them. So a process remembers the
positions up to which it has claimed, and once a walk took long it starts from there for a while. What becomes due
before a position (an expired lease, a pause that is over) waits for the next walk from the head.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, TypeAlias

COSTLY: Final = timedelta(milliseconds=10)  # a walk beyond which positions are used
BUSY_PACE: Final = 200  # times the length of a walk until the next one: below 1 % of claims take longer for it
IDLE_PACE: Final = 20  # the same where nothing is found beyond the positions
LONGEST: Final = timedelta(seconds=60)
COLLECTIONS: Final = 8  # of which positions are remembered

Position: TypeAlias = tuple[datetime, str]  # time of submission, document id
Levels: TypeAlias = Mapping[int, Position]  # by priority


class Frontier:
    """The positions of one process, by collection and priority, and when it may walk from the head again."""

    def __init__(self) -> None:
        self._reached: OrderedDict[str, dict[int, Position]] = OrderedDict()
        self._walked: datetime | None = None
        self._cost = timedelta()

    def may_walk(self, now: datetime, *, idle: bool = False) -> bool:
        """Tell whether the next claim may start from the head; ``idle``: nothing was found beyond the positions."""
        if self._walked is None or self._cost <= COSTLY:
            return True
        return now >= self._walked + min(self._cost * (IDLE_PACE if idle else BUSY_PACE), LONGEST)

    def walked(self, began: datetime, ended: datetime) -> None:
        """Record a walk from the head."""
        self._walked, self._cost = ended, ended - began

    def reached(self, uid: str, priority: int, position: Position) -> None:
        """Record that nothing is due before this position; it may itself be."""
        self._reached.setdefault(uid, {})[priority] = position
        self._reached.move_to_end(uid)
        if len(self._reached) > COLLECTIONS:
            self._reached.popitem(last=False)

    def positions(self) -> Mapping[str, Levels]:
        """Where to begin in each collection."""
        return {uid: dict(levels) for uid, levels in self._reached.items()}

    def levels(self, uid: str) -> Levels:
        """Where to begin at each priority of a collection whose head has been found; empty where a walk is cheap."""
        return {} if self._cost <= COSTLY else dict(self._reached.get(uid, {}))
