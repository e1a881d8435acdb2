"""Recording of searches and of visitors' events, where the settings keep them.

A search is noted after it was answered, and written within a second with others. An event is stored before its answer
is sent.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple, TypeAlias

from winnow.core.access import audience_of, may_name, view_of
from winnow.core.analytics import EventType, LoggedSearch, VisitorEvent, kept_query
from winnow.core.clock import Clock, utc_now
from winnow.core.errors import (
    AnalyticsDisabled,
    CollectionNotFound,
    InvalidInput,
    StorageFailure,
    UpstreamUnavailable,
    WinnowError,
)
from winnow.core.principal import Principal
from winnow.core.search import SearchAnswer
from winnow.core.tenancy import plain_id
from winnow.operations.resources import Resources
from winnow.operations.search_ids import SearchIds, SignedSearch, signed_search

log = logging.getLogger(__name__)

MAX_EVENTS: Final = 1000
"""Events of one request."""
EventRefusal: TypeAlias = Literal[
    "search_id_invalid", "search_id_foreign", "search_id_expired", "document_not_shown", "position_mismatch"
]


class GivenEvent(NamedTuple):
    """An event as a site sends it."""

    type: EventType
    search_id: str
    document_id: str
    position: int | None
    session: str = ""


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """An event that was not taken: its place among those that were sent, from 0, and why."""

    index: int
    code: EventRefusal
    message: str


class TakenEvents(NamedTuple):
    """How many events were taken, those that were known already among them, and the others."""

    accepted: int
    rejected: tuple[RejectedEvent, ...]


@dataclass
class SearchRecord:
    """The record of one search that is answered in one or several steps, of which the last one counts."""

    log: SearchLog
    principal: Principal
    session: str
    steps: list[LoggedSearch] = field(default_factory=list)

    async def add(self, answer: SearchAnswer) -> str | None:
        """Add an answer, and return its signed id; ``None`` where it cannot be recorded, which costs no answer."""
        try:
            return await self._add(answer)
        except WinnowError as error:
            log.warning("a search is not recorded: %s", error.message)
            return None

    async def _add(self, answer: SearchAnswer) -> str:
        resources = self.log.resources()
        collection = await resources.collections.get(answer.request.collection)
        view, (first, shown) = view_of(self.principal, answer.request.tenant), shown_documents(answer)
        search = LoggedSearch(
            answer.id,
            collection.uid,
            view.tenant,
            self.log.clock(),
            kept_query(answer.request.query),
            answer.request.mode,
            answer.speed,
            shown,
            first,
            len(answer.results),
            answer.took_ms,
            answer.degraded,
            self.session,
            audience_of(view, collection),
        )
        search_id = await self.log.ids.sign(signed_search(search, collection.name))
        self.steps.append(search)
        return search_id

    def close(self) -> None:
        """Have the search kept."""
        if not self.steps:
            return
        *earlier, last = self.steps
        analytics = self.log.resources().catalog.analytics
        for each in earlier:
            analytics.note(replace(each, replaced_by=last.id))
        analytics.note(last)


@dataclass
class SearchLog:
    """Records searches and events of one service.

    Attributes:
        resources: the open resources; raises ``UpstreamUnavailable`` while they are not open.
        ids: signs the ids of searches.
        enabled: whether anything is recorded.
        clock: the time of day.
        count: is told how many events of a type were taken, or ``rejected``.
    """

    resources: Callable[[], Resources]
    ids: SearchIds
    enabled: bool
    clock: Clock = utc_now
    count: Callable[[str, int], None] = lambda *_: None

    def record(self, principal: Principal, session: str | None) -> SearchRecord | None:
        """The record of a search of a principal; ``None`` where none is kept, and for commands of the same machine."""
        kept = self.enabled and principal.kind != "local"
        return SearchRecord(self, principal, session or "") if kept else None

    async def take(self, principal: Principal, events: Sequence[GivenEvent]) -> TakenEvents:
        """Store the events that belong to searches of this principal's part of the installation.

        Raises:
            AnalyticsDisabled: the settings keep nothing of what visitors do.
            InvalidInput: there are too many.
            UpstreamUnavailable: they cannot be stored now; none is.
        """
        principal.require("search")
        if not self.enabled:
            raise AnalyticsDisabled("events are not kept here: set WINNOW_ANALYTICS__ENABLED=true")
        if len(events) > MAX_EVENTS:
            raise InvalidInput(
                f"a request has at most {MAX_EVENTS:,} events, not {len(events):,}", location=("events",)
            )
        found: list[VisitorEvent] = []
        rejected: list[RejectedEvent] = []
        for index, each in enumerate(events):
            checked = await self._checked(principal, each)
            if isinstance(checked, VisitorEvent):
                found.append(checked)
            else:
                rejected.append(RejectedEvent(index, *checked))
        try:
            await self.resources().catalog.analytics.add_events(found)
        except StorageFailure as error:
            message = f"the events cannot be stored, send them again: {error.message}"
            raise UpstreamUnavailable(message, retry_after=error.retry_after) from error
        for outcome, number in Counter([*(each.type for each in found), *("rejected" for _ in rejected)]).items():
            self.count(outcome, number)
        return TakenEvents(len(found), tuple(rejected))

    async def _checked(self, principal: Principal, event: GivenEvent) -> VisitorEvent | tuple[EventRefusal, str]:
        search = await self.ids.read(event.search_id)
        if search is None:
            return "search_id_invalid", "search_id is not one that an answer of this service has"
        if not await self._is_own(principal, search):
            return "search_id_foreign", "the search is not of a collection and tenant that the caller may search"
        if self.ids.is_expired(search):
            return "search_id_expired", "events are taken for 24 hours after their search"
        match search.position_of(event.document_id, event.position):
            case None:
                return "document_not_shown", f"the search did not show the document {event.document_id[:80]!r}"
            case False:
                return "position_mismatch", f"the search showed another document at position {event.position}"
            case _:
                return VisitorEvent(
                    search.id,
                    event.document_id,
                    event.type,
                    search.collection_uid,
                    search.tenant,
                    self.clock(),
                    event.position,
                    event.session,
                )

    async def _is_own(self, principal: Principal, search: SignedSearch) -> bool:
        if not principal.may("search", search.collection) or not may_name(principal, search.tenant):
            return False
        try:
            collection = await self.resources().collections.get(search.collection)
        except CollectionNotFound:
            return False
        return collection.uid == search.collection_uid


def shown_documents(answer: SearchAnswer) -> tuple[int, tuple[str, ...]]:
    """The rank of the first result, and the ids of the documents from there on; empty where a rank is not used."""
    if not answer.results:
        return 1 if answer.request.cursor is None else 2, ()
    first, last = answer.results[0].rank, answer.results[-1].rank
    shown = [""] * (last - first + 1)
    for each in answer.results:
        shown[each.rank - first] = plain_id(each.candidate.document_id)
    return first, tuple(shown)
