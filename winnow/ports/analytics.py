"""What visitors do, in the catalog: searches, clicks and conversions, and what is counted over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from winnow.core.analytics import LoggedSearch, VisitorEvent
from winnow.core.search import Speed


class AnalyticsScope(NamedTuple):
    """What is counted: a collection in a time from ``since`` on; one tenant's part of it, or that of all (``None``)."""

    collection_uid: str
    since: datetime
    tenant: str | None = None


class QueryFigures(NamedTuple):
    """A query that was searched for: how often, without results, and what was clicked; all spellings count together.

    Attributes:
        query: one of its spellings.
        searches: those that count, of first pages.
        sessions: different sessions among them, without those that have none.
        position: the mean rank of what was clicked; ``None`` without clicks.
    """

    query: str
    searches: int
    without_results: int
    sessions: int
    clicks: int
    conversions: int
    position: float | None


class DayFigures(NamedTuple):
    """What happened on a day (UTC, ISO 8601)."""

    day: str
    searches: int
    without_results: int
    clicks: int
    conversions: int


class SpeedFigures(NamedTuple):
    """Milliseconds of the searches of a speed."""

    speed: Speed
    searches: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class AnalyticsTotals:
    """Totals of a time: searches that count, and events.

    Attributes:
        clicked: searches of which a result was clicked.
        sessions: different sessions, without searches that have none.
    """

    searches: int = 0
    without_results: int = 0
    clicked: int = 0
    degraded: int = 0
    sessions: int = 0
    clicks: int = 0
    conversions: int = 0


@dataclass(frozen=True, slots=True)
class AnalyticsSummary:
    """What visitors did in a time; lists of queries are sorted by their number, days by date.

    Attributes:
        nothing_clicked: queries that found something of which nothing was clicked.
        positions: clicks by rank.
    """

    totals: AnalyticsTotals
    days: Sequence[DayFigures]
    top: Sequence[QueryFigures]
    nothing_found: Sequence[QueryFigures]
    nothing_clicked: Sequence[QueryFigures]
    positions: Sequence[tuple[int, int]]
    speeds: Sequence[SpeedFigures]


class AnalyticsCatalog(Protocol):
    """Searches and events. Readings and deletions include what this process has noted and not yet written."""

    @property
    def dropped(self) -> int:
        """Searches that this process could not keep, because too many waited to be written."""

    def note(self, search: LoggedSearch) -> None:
        """Store a search within a second, and when the catalog is closed; beyond a bound of waiting ones drop it.

        Searches that it shows to have been still typed are marked as replaced (``replaced_searches``).
        """

    async def add_events(self, events: Sequence[VisitorEvent]) -> None:
        """Store events, each type once for a search and document. Committed on return.

        Raises:
            UpstreamUnavailable: too many wait to be written.
        """

    async def summary(self, scope: AnalyticsScope, *, limit: int) -> AnalyticsSummary:
        """Count searches and events; ``limit`` queries of each list."""

    async def searches(self, scope: AnalyticsScope, *, after: str = "", limit: int = 1000) -> Sequence[LoggedSearch]:
        """Searches by id, which sorts by time, those beyond ``after``; replaced ones included."""

    async def events_of(self, scope: AnalyticsScope, search_ids: Sequence[str]) -> Sequence[VisitorEvent]:
        """The events of some searches, by search and time; at most 1,000 searches."""

    async def suggested(
        self, scope: AnalyticsScope, audience: str, *, sessions: int, limit: int
    ) -> Sequence[QueryFigures]:
        """Queries that found something for searches of this audience in ``sessions`` sessions or more, often first."""

    async def delete(
        self, collection_uid: str, *, tenant: str | None = None, session: str | None = None
    ) -> tuple[int, int]:
        """Delete searches and events of a collection, or of a tenant or session in it; return the number of each."""

    async def prune(self, *, before: datetime, limit: int = 1000) -> int:
        """Delete at most ``limit`` searches and as many events from before a moment, and replaced searches without
        events of more than ten minutes ago; return how many rows.
        """
