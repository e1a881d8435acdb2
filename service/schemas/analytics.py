"""What visitors do on the wire: sessions of searches, events, and what is counted over both."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from service.schemas.common import Body, Parameters, View
from winnow.core.analytics import MAX_SESSION_CHARS, EventType
from winnow.core.search import Speed
from winnow.operations.analytics import DEFAULT_DAYS, MAX_DAYS, MAX_QUERIES, AnalyticsReport
from winnow.operations.search_ids import MAX_SEARCH_ID_CHARS
from winnow.operations.search_log import MAX_EVENTS, EventRefusal, GivenEvent

MAX_ID_CHARS = 512
_SESSION = "tells visitors apart, any text that the site chooses; kept only where analytics are enabled"
_NAMED = r"^[^\x00-\x1f\x7f]*$"
SessionName = Annotated[str, Field(max_length=MAX_SESSION_CHARS, pattern=_NAMED)]


class SessionOption(BaseModel):
    """The visitor of a search, in the body and in the query string."""

    session: SessionName | None = Field(None, description=_SESSION)
    analytics: bool = Field(True, description="false: no visitor made this search, so analytics leave it out")


class EventBody(Body):
    """A click on a result, or a conversion that a result led to."""

    type: EventType
    search_id: str = Field(max_length=MAX_SEARCH_ID_CHARS, description="of the answer that showed the document")
    document_id: str = Field(min_length=1, max_length=MAX_ID_CHARS)
    position: int | None = Field(
        None, ge=1, le=100_000, description="rank of the result in the answer, from 1; only a conversion may omit it"
    )
    session: SessionName | None = Field(None, description=_SESSION)


class MalformedEvent(BaseModel):
    """An event that cannot be read."""

    message: str


def _or_malformed(value: Any, read: ValidatorFunctionWrapHandler) -> EventBody | MalformedEvent:
    """An event, or why it is not one: one that is wrong does not take the others with it."""
    try:
        event: EventBody = read(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return MalformedEvent(message=f"{'.'.join(map(str, first['loc'])) or 'event'}: {first['msg']}")
    if event.type == "click" and event.position is None:
        return MalformedEvent(message="position: a click has the rank of its result, from 1")
    return event


class EventsBody(Body):
    """Events of visitors."""

    events: list[Annotated[EventBody, WrapValidator(_or_malformed)]] = Field(min_length=1, max_length=MAX_EVENTS)

    def readable(self) -> list[tuple[int, GivenEvent]]:
        """The events that can be read, with their places."""
        return [
            (at, GivenEvent(each.type, each.search_id, each.document_id, each.position, each.session or ""))
            for at, each in enumerate(self.events)
            if isinstance(each, EventBody)
        ]

    def malformed(self) -> list[RejectedEventView]:
        """The others."""
        found: list[tuple[int, Any]] = list(enumerate(self.events))
        return [
            RejectedEventView(index=at, code="invalid_event", message=each.message)
            for at, each in found
            if isinstance(each, MalformedEvent)
        ]


class RejectedEventView(View):
    """An event that was not taken; ``index`` is its place in the request, from 0."""

    index: int
    code: EventRefusal | Literal["invalid_event"]
    message: str


class TakenEventsView(View):
    """What happened to the events of a request; those that were known already are accepted, and kept once."""

    accepted: int
    rejected: list[RejectedEventView]


class AnalyticsParameters(Parameters):
    """What is counted."""

    days: float = Field(DEFAULT_DAYS, gt=0, le=MAX_DAYS, description="days before now")
    limit: int = Field(10, ge=1, le=MAX_QUERIES, description="queries of each list")
    tenant: str | None = Field(None, description="of one tenant; by default the caller's own, or all")


class ExportParameters(Parameters):
    """What is exported."""

    days: float = Field(MAX_DAYS, gt=0, le=MAX_DAYS, description="days before now")
    tenant: str | None = Field(None, description="of one tenant; by default the caller's own, or all")


class DeletionParameters(Parameters):
    """What is deleted."""

    session: SessionName | None = Field(None, min_length=1, description="of this session alone")
    tenant: str | None = Field(None, description="of one tenant; by default the caller's own, or all")


class QueryFiguresView(View):
    """A query and what happened to it; spellings that differ in case, white space or width count together."""

    query: str
    searches: int
    without_results: int
    sessions: int = Field(description="different sessions; 0 where the site sends none")
    clicks: int
    conversions: int
    position: float | None = Field(None, description="mean rank of what was clicked; null without clicks")


class DayFiguresView(View):
    """A day in UTC; days on which nothing happened are left out."""

    day: str
    searches: int
    without_results: int
    clicks: int
    conversions: int


class SpeedFiguresView(View):
    """Milliseconds in which searches of a speed were answered."""

    speed: Speed
    searches: int
    p50_ms: float
    p95_ms: float


class TotalsView(View):
    """Totals."""

    searches: int
    without_results: int
    clicked: int = Field(description="searches of which a result was clicked")
    degraded: int
    sessions: int
    clicks: int
    conversions: int


class PositionView(View):
    """Clicks on results of a rank."""

    position: int
    clicks: int


class ClickPositionsView(View):
    """At which ranks visitors clicked."""

    mean: float | None
    counts: list[PositionView]


class AnalyticsView(View):
    """What visitors did. A search that was still being typed does not count (``docs/analytics.md``)."""

    collection: str
    enabled: bool = Field(description="whether searches and events are being recorded now")
    since: datetime
    until: datetime
    tenant: str | None = Field(None, description="null: of all tenants")
    totals: TotalsView
    days: list[DayFiguresView]
    top_queries: list[QueryFiguresView]
    nothing_found: list[QueryFiguresView]
    nothing_clicked: list[QueryFiguresView]
    click_positions: ClickPositionsView
    speed: list[SpeedFiguresView]

    @classmethod
    def shown(cls, report: AnalyticsReport, *, enabled: bool) -> Self:
        """The wire form of a report."""
        summary = report.summary
        clicks = sum(number for _, number in summary.positions)
        mean = sum(position * number for position, number in summary.positions) / clicks if clicks else None
        return cls(
            collection=report.collection,
            enabled=enabled,
            since=report.since,
            until=report.until,
            tenant=report.tenant,
            totals=TotalsView.of(summary.totals),
            days=[DayFiguresView.of(each) for each in summary.days],
            top_queries=[QueryFiguresView.of(each) for each in summary.top],
            nothing_found=[QueryFiguresView.of(each) for each in summary.nothing_found],
            nothing_clicked=[QueryFiguresView.of(each) for each in summary.nothing_clicked],
            click_positions=ClickPositionsView(
                mean=mean,
                counts=[PositionView(position=position, clicks=number) for position, number in summary.positions],
            ),
            speed=[SpeedFiguresView.of(each) for each in summary.speeds],
        )


class AnalyticsList(View):
    """What visitors did, by collection."""

    analytics: list[AnalyticsView]


class DeletedAnalyticsView(View):
    """How much was deleted."""

    searches: int
    events: int
