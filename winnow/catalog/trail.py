"""The audit trail in SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Final

from sqlalchemy import delete, insert, select

from winnow.catalog.access_tables import AUDIT_EVENTS
from winnow.catalog.bulk import slices
from winnow.catalog.delayed import DelayedWrite
from winnow.catalog.engine import Database, Repository
from winnow.core.clock import Clock
from winnow.core.errors import WinnowError
from winnow.core.ids import new_id
from winnow.ports import AuditEvent

NOTED_SECONDS: Final = 1.0
MOST_NOTED: Final = 1000  # different events between two writes: a flood of refusals must not fill the disk
_WILD: Final = "*"


class SqlTrail(Repository):
    """The port ``AuditTrail`` in SQL."""

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(database, clock)
        self._noted: dict[tuple[object, ...], AuditEvent] = {}
        self._counts: Counter[tuple[object, ...]] = Counter()
        self._left_out = 0
        self._delayed = DelayedWrite(self._write_noted, seconds=NOTED_SECONDS, name="audit trail")

    async def append(self, *events: AuditEvent) -> None:
        now = self.clock()
        rows = [asdict(event) | {"id": new_id("evt"), "at": event.at or now} for event in events]
        async with self.database.write() as connection:
            for part in slices(rows):
                await connection.execute(insert(AUDIT_EVENTS), part)

    def note(self, event: AuditEvent) -> None:
        key = _same(event)
        if key not in self._noted and len(self._noted) >= MOST_NOTED:
            self._left_out += 1
            return
        self._noted.setdefault(key, replace(event, at=event.at or self.clock()))
        self._counts[key] += event.count
        self._delayed.ask()

    async def list(
        self, *, since: datetime | None = None, action: str | None = None, after: str = "", limit: int = 100
    ) -> Sequence[AuditEvent]:
        statement = select(AUDIT_EVENTS)
        if since is not None:
            statement = statement.where(AUDIT_EVENTS.c.at >= since)
        if action is not None and action.endswith(_WILD):
            statement = statement.where(AUDIT_EVENTS.c.action.startswith(action.removesuffix(_WILD), autoescape=True))
        elif action is not None:
            statement = statement.where(AUDIT_EVENTS.c.action == action)
        if after:
            statement = statement.where(AUDIT_EVENTS.c.id < after)
        async with self.database.read() as connection:
            rows = await connection.execute(statement.order_by(AUDIT_EVENTS.c.id.desc()).limit(limit))
            return [AuditEvent(**row) for row in rows.mappings()]

    async def prune(self, *, before: datetime, limit: int = 1000) -> int:
        some = select(AUDIT_EVENTS.c.id).where(AUDIT_EVENTS.c.at < before).order_by(AUDIT_EVENTS.c.at).limit(limit)
        async with self.database.write() as connection:
            statement = delete(AUDIT_EVENTS).where(AUDIT_EVENTS.c.id.in_(some.scalar_subquery()))
            return (await connection.execute(statement)).rowcount

    async def close(self) -> None:
        """Write the events that were noted."""
        await self._delayed.close()

    async def _write_noted(self) -> None:
        noted, counts, left_out = self._noted, self._counts, self._left_out
        self._noted, self._counts, self._left_out = {}, Counter(), 0
        events = [replace(event, count=counts[key]) for key, event in noted.items()]
        if left_out:
            events.append(AuditEvent("audit.overflow", "service", outcome="left_out", count=left_out))
        try:
            await self.append(*events)
        except WinnowError:
            for event in events:
                self.note(event)
            raise


def _same(event: AuditEvent) -> tuple[object, ...]:
    """What makes two events equal, apart from the request and the time."""
    details = tuple(sorted((key, str(value)) for key, value in event.details.items()))
    return (event.action, event.actor, event.tenant, event.collection, event.document, event.outcome, details)
