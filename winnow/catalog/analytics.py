"""Searches and events of visitors in SQL."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, Table, and_, delete, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog import analytics_figures as figures
from winnow.catalog.analytics_tables import ANALYTICS_EVENTS, ANALYTICS_SEARCHES
from winnow.catalog.bulk import insert_missing, slices
from winnow.catalog.delayed import DelayedWrite
from winnow.catalog.engine import Database, Repository, allow_long
from winnow.catalog.tables import COLLECTIONS
from winnow.core.analytics import (
    TYPING_SECONDS,
    LoggedSearch,
    TypedSearch,
    VisitorEvent,
    folded_query,
    replaced_searches,
)
from winnow.core.clock import Clock
from winnow.core.errors import UpstreamUnavailable, WinnowError
from winnow.ports import AnalyticsScope, AnalyticsSummary, QueryFigures

NOTED_SECONDS: Final = 1.0
MOST_NOTED: Final = 10_000  # searches that wait to be written: while the database is away, memory must not fill up
RECENT: Final = 5_000  # searches of the last seconds that new ones may replace
REPLACED_KEPT: Final = timedelta(minutes=10)  # for clicks on a list that was shown while the next one was on its way
DELETED_AT_ONCE: Final = 5_000

_S: Final = ANALYTICS_SEARCHES.c
_E: Final = ANALYTICS_EVENTS.c
_TYPED: Final = (_S.id, _S.at, _S.collection_uid, _S.tenant, _S.audience, _S.session, _S.folded, _S.speed, _S.first)


@dataclass
class _EventBatch:
    """Events that are stored in one transaction, of requests that came while another one was under way."""

    events: list[VisitorEvent] = field(default_factory=list)
    is_stored: bool = False
    error: WinnowError | None = None


class SqlAnalytics(Repository):
    """The port ``AnalyticsCatalog`` in SQL."""

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(database, clock)
        self.dropped = 0
        self._noted: list[LoggedSearch] = []
        self._writing = asyncio.Lock()
        self._batch = _EventBatch()
        self._storing = asyncio.Lock()
        self._delayed = DelayedWrite(self._write_noted, seconds=NOTED_SECONDS, name="analytics")

    def note(self, search: LoggedSearch) -> None:
        if len(self._noted) >= MOST_NOTED:
            self.dropped += 1
            return
        self._noted.append(search)
        self._delayed.ask()

    async def add_events(self, events: Sequence[VisitorEvent]) -> None:
        if not events:
            return
        batch = self._batch
        if len(batch.events) + len(events) > MOST_NOTED:
            raise UpstreamUnavailable("too many events wait to be stored; send these again", retry_after=1.0)
        batch.events.extend(events)
        async with self._storing:
            if not batch.is_stored and batch.error is None:  # the first one of a batch stores it for all
                await self._store(batch)
        if batch.error is not None:
            raise batch.error

    async def summary(self, scope: AnalyticsScope, *, limit: int) -> AnalyticsSummary:
        await self._write_noted()
        async with self.database.read() as connection:
            await allow_long(connection)
            return await figures.summary(connection, scope, limit)

    async def searches(self, scope: AnalyticsScope, *, after: str = "", limit: int = 1000) -> Sequence[LoggedSearch]:
        await self._write_noted()
        wanted = select(ANALYTICS_SEARCHES).where(*figures.within(_S, scope), _S.id > after)
        async with self.database.read() as connection:
            rows = await connection.execute(wanted.order_by(_S.id).limit(limit))
            return [_search(row) for row in rows.mappings()]

    async def events_of(self, scope: AnalyticsScope, search_ids: Sequence[str]) -> Sequence[VisitorEvent]:
        wanted = select(ANALYTICS_EVENTS).where(*figures.within(_E, scope), _E.search_id.in_(search_ids))
        async with self.database.read() as connection:
            rows = await connection.execute(wanted.order_by(_E.search_id, _E.at, _E.type, _E.document_id))
            return [_event(row) for row in rows.mappings()]

    async def suggested(
        self, scope: AnalyticsScope, audience: str, *, sessions: int, limit: int
    ) -> Sequence[QueryFigures]:
        async with self.database.read() as connection:
            return await figures.suggested(connection, scope, audience, sessions, limit)

    async def delete(
        self, collection_uid: str, *, tenant: str | None = None, session: str | None = None
    ) -> tuple[int, int]:
        await self._write_noted()
        searches: list[ColumnElement[bool]] = [_S.collection_uid == collection_uid]
        events: list[ColumnElement[bool]] = [_E.collection_uid == collection_uid]
        if tenant is not None:
            searches.append(_S.tenant == tenant)
            events.append(_E.tenant == tenant)
        if session is not None:
            theirs = select(_S.id).where(*searches, _S.session == session)
            searches.append(_S.session == session)
            events.append(or_(_E.session == session, _E.search_id.in_(theirs.scalar_subquery())))
        gone = await self._delete(ANALYTICS_EVENTS, events)  # first: which ones are a session's, its searches tell
        return await self._delete(ANALYTICS_SEARCHES, searches), gone

    async def prune(self, *, before: datetime, limit: int = 1000) -> int:
        clicked = select(_E.search_id).where(_E.search_id == _S.id).exists()
        idle = and_(_S.replaced_by.is_not(None), _S.at < self.clock() - REPLACED_KEPT, ~clicked)
        async with self.database.write() as connection:
            events = await _delete_some(connection, ANALYTICS_EVENTS, [_E.at < before], limit)
            return events + await _delete_some(connection, ANALYTICS_SEARCHES, [or_(_S.at < before, idle)], limit)

    async def close(self) -> None:
        """Write the searches that were noted."""
        await self._delayed.close()

    async def _delete(self, table: Table, conditions: Sequence[ColumnElement[bool]]) -> int:
        total = 0
        while True:  # in several transactions: other writers must not wait for long
            async with self.database.write() as connection:
                gone = await _delete_some(connection, table, conditions, DELETED_AT_ONCE)
            total += gone
            if gone < DELETED_AT_ONCE:
                return total

    async def _store(self, batch: _EventBatch) -> None:
        """Store a batch; events that come meanwhile make the next one."""
        if batch is self._batch:
            self._batch = _EventBatch()
        try:
            async with self.database.write() as connection:
                await _write_events(connection, batch.events)
        except WinnowError as error:
            batch.error = error
        else:
            batch.is_stored = True

    async def _write_noted(self) -> None:
        async with self._writing:
            noted, self._noted = self._noted, []
            if not noted:
                return
            try:
                async with self.database.write() as connection:
                    await _write(connection, noted)
            except WinnowError:
                self._noted = noted + self._noted
                raise


async def _write(connection: AsyncConnection, noted: Sequence[LoggedSearch]) -> None:
    """Store searches, and mark those that were still being typed, here and among the last ones in the database."""
    known = await _in_service(connection, [each.collection_uid for each in noted])
    noted = [each for each in noted if each.collection_uid in known]
    if not noted:
        return
    typed = [each.typed for each in noted if each.replaced_by is None]
    replaced = replaced_searches([*await _recent(connection, noted), *typed])
    having = select(_E.search_id).where(_E.search_id.in_(replaced)).distinct()
    clicked = set((await connection.scalars(having)).all()) if replaced else set()
    replaced = {each: by for each, by in replaced.items() if each not in clicked}
    for part in slices([_row(each, replaced) for each in noted]):
        await connection.execute(insert_missing(connection, ANALYTICS_SEARCHES), part)
    mine = {each.id for each in noted}
    for each, by in replaced.items():
        if each not in mine:
            marked = or_(_S.id == each, _S.replaced_by == each)
            await connection.execute(update(ANALYTICS_SEARCHES).where(marked).values(replaced_by=by))


async def _write_events(connection: AsyncConnection, events: Sequence[VisitorEvent]) -> None:
    known = await _in_service(connection, [each.collection_uid for each in events])
    rows = [asdict(each) | {"day": each.at.date().isoformat()} for each in events if each.collection_uid in known]
    for part in slices(rows):
        await connection.execute(insert_missing(connection, ANALYTICS_EVENTS), part)


async def _recent(connection: AsyncConnection, noted: Sequence[LoggedSearch]) -> list[TypedSearch]:
    """The searches of the last seconds that the noted ones may replace."""
    since = min(each.at for each in noted) - timedelta(seconds=TYPING_SECONDS)
    sessions = sorted({each.session for each in noted if each.session})
    theirs: list[ColumnElement[bool]] = [_S.session.in_(sessions)] if sessions else []
    if any(not each.session for each in noted):
        theirs.append(and_(_S.session == "", _S.speed == "instant"))
    wanted = select(*_TYPED).where(_S.at >= since, _S.replaced_by.is_(None), or_(*theirs))
    rows = await connection.execute(wanted.order_by(_S.at.desc()).limit(RECENT))
    return [
        TypedSearch(
            row.id,
            row.at,
            (row.collection_uid, row.tenant, row.audience, row.session),
            row.folded,
            row.speed,
            row.first,
        )
        for row in rows
    ]


async def _in_service(connection: AsyncConnection, uids: Sequence[str]) -> set[str]:
    """Those of the collections that still exist; they stay until the transaction ends (PostgreSQL)."""
    wanted = select(COLLECTIONS.c.uid).where(COLLECTIONS.c.uid.in_(sorted(set(uids))), COLLECTIONS.c.status == "ready")
    return set((await connection.scalars(wanted.with_for_update(read=True, key_share=True))).all())


async def _delete_some(
    connection: AsyncConnection, table: Table, conditions: Sequence[ColumnElement[bool]], limit: int
) -> int:
    key = tuple(table.primary_key.columns)
    some = select(*key).where(*conditions).limit(limit)
    return (await connection.execute(delete(table).where(tuple_(*key).in_(some)))).rowcount


def _row(search: LoggedSearch, replaced: Mapping[str, str]) -> dict[str, Any]:
    by = search.replaced_by
    changed = {
        "shown": list(search.shown),
        "folded": folded_query(search.query),
        "day": search.at.date().isoformat(),
        "replaced_by": replaced.get(search.id) if by is None else replaced.get(by, by),
    }
    return asdict(search) | changed


def _search(row: RowMapping) -> LoggedSearch:
    members = {name: value for name, value in row.items() if name not in ("day", "folded")}
    return LoggedSearch(**members | {"shown": tuple(row["shown"])})


def _event(row: RowMapping) -> VisitorEvent:
    return VisitorEvent(**{name: value for name, value in row.items() if name != "day"})
