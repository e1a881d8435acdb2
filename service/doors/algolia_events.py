"""Algolia's Insights API, ``POST /1/events``: the events that search-insights 2 and InstantSearch's insights send.

Source: Algolia's REST reference ("Insights API", "Send events"). Clicks and conversions are kept that have the
``queryID`` of a search with ``clickAnalytics``. Others are left out, and the answer says how many and why: views, since
the record of a search has what it showed, and events of no search.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from fastapi import Request, Response
from pydantic import Field, model_validator

from service.access import principal_of
from service.deps import state_of
from service.door import BODY_PROBLEMS, Door
from service.doors.algolia import SHAPE
from service.doors.algolia_bodies import lenient_json
from service.doors.bodies import ForeignBody
from service.doors.routes import post
from service.page_requests import require_search_only
from service.schemas.analytics import MAX_ID_CHARS, SessionName
from service.wire import json_response
from winnow.core import errors
from winnow.core.analytics import EventType
from winnow.operations.search_ids import MAX_SEARCH_ID_CHARS
from winnow.operations.search_log import MAX_EVENTS, GivenEvent

_REFUSED = (errors.InvalidInput, errors.AnalyticsDisabled, errors.UpstreamUnavailable)
door = Door(tag="analytics", problems=(*BODY_PROBLEMS, *_REFUSED), shape=SHAPE, read_body=lenient_json)
_KEPT: Final[dict[str, EventType]] = {"click": "click", "conversion": "conversion"}


class AlgoliaEvent(ForeignBody):
    """What a visitor did with some objects. ``positions`` are ranks from 1, over all pages.

    Other types than clicks and conversions are views, and ``instantsearch``: what InstantSearch tells of itself.
    """

    eventType: str = Field(min_length=1, max_length=64)  # noqa: N815 - Algolia's names
    queryID: str | None = Field(None, max_length=MAX_SEARCH_ID_CHARS)  # noqa: N815
    objectIDs: list[str] = Field(default_factory=list, max_length=20)  # noqa: N815
    positions: list[int] | None = None
    userToken: SessionName | None = None  # noqa: N815

    @model_validator(mode="after")
    def _is_whole(self) -> AlgoliaEvent:
        if any(not 0 < len(each) <= MAX_ID_CHARS for each in self.objectIDs):
            raise ValueError(f"an object id has 1 to {MAX_ID_CHARS} characters")
        if self.eventType == "click" and self.queryID and len(self.positions or ()) != len(self.objectIDs):
            raise ValueError("a click after a search has as many positions as objectIDs")
        return self

    def given(self) -> list[GivenEvent]:
        """The events that belong to a search, one for each object."""
        if self.eventType not in _KEPT or not self.queryID:
            return []
        kind, ranks = _KEPT[self.eventType], self.positions if self.eventType == "click" else None
        return [
            GivenEvent(kind, self.queryID, each, ranks[at] if ranks else None, self.userToken or "")
            for at, each in enumerate(self.objectIDs)
        ]


class AlgoliaEvents(ForeignBody):
    """Events of visitors."""

    events: list[AlgoliaEvent] = Field(min_length=1, max_length=MAX_EVENTS)


@post(door, "/1/events")
async def take_events_for_algolia(body: AlgoliaEvents, request: Request) -> Response:
    """Take clicks and conversions as Algolia's clients send them; what is accepted is stored."""
    state, principal = state_of(request), principal_of(request)
    require_search_only(principal)
    taken = await state.visitors.take(principal, [given for each in body.events for given in each.given()])
    left_out = Counter(_reason(each) for each in body.events if not each.given())
    left_out.update(each.message for each in taken.rejected)
    return json_response({"status": 200, "message": _told(taken.accepted, left_out.items())})


def _reason(event: AlgoliaEvent) -> str:
    if event.eventType not in _KEPT:
        return f"events of type {event.eventType!r} are not kept, but clicks and conversions"
    return "the event has no objectIDs" if event.queryID else "the event has no queryID: search with clickAnalytics"


def _told(accepted: int, left_out: Iterable[tuple[str, int]]) -> str:
    reasons = "; ".join(f"{number} left out: {why}" for why, number in left_out)
    return f"{accepted} kept; {reasons}" if reasons else "OK"
