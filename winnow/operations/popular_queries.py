"""Queries that several visitors had results for, as suggestions for others who see the same documents."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from cachetools import TTLCache

from winnow.core.access import audience_of
from winnow.core.acl import AccessView
from winnow.core.clock import Clock, utc_now
from winnow.core.typed import folded
from winnow.core.types import Collection
from winnow.ports import AnalyticsCatalog, AnalyticsScope

LEAST_SESSIONS: Final = 5
"""Sessions that must have had results for a query before others see it: what one visitor types stays private."""
_DAYS: Final = 30
_MOST: Final = 500  # queries for one audience
_SECONDS: Final = 60.0
_AUDIENCES: Final = 256


@dataclass
class PopularQueries:
    """Remembers popular queries for a minute, those of each audience apart.

    Attributes:
        analytics: the searches of visitors.
        clock: the time of day.
        timer: monotonic seconds.
    """

    analytics: AnalyticsCatalog
    clock: Clock = utc_now
    timer: Callable[[], float] = time.monotonic
    _known: TTLCache[tuple[str, str, str], Sequence[tuple[str, str]]] = field(init=False)

    def __post_init__(self) -> None:
        self._known = TTLCache(_AUDIENCES, _SECONDS, timer=self.timer)

    async def beginning(self, collection: Collection, view: AccessView, text: str) -> list[str]:
        """The queries that begin with a text, most frequent first: those of visitors who see what the view sees."""
        beginning = folded(text)
        return [query for query, form in await self._of(collection, view) if form.startswith(beginning)]

    async def _of(self, collection: Collection, view: AccessView) -> Sequence[tuple[str, str]]:
        """Popular queries, each as it is shown and folded as names are."""
        key = (collection.uid, view.tenant, audience_of(view, collection))
        if (known := self._known.get(key)) is None:
            scope = AnalyticsScope(collection.uid, self.clock() - timedelta(days=_DAYS), view.tenant)
            found = await self.analytics.suggested(scope, key[2], sessions=LEAST_SESSIONS, limit=_MOST)
            known = self._known[key] = [(each.query, folded(each.query)) for each in found]
        return known
