"""Kept sources in SQL, and the leases under which they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import RowMapping, and_, delete, insert, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import Field

from winnow.catalog.collections import uid_of
from winnow.catalog.engine import Repository
from winnow.catalog.tables import COLLECTIONS, Base, Key, UtcDateTime, sql_table
from winnow.core.errors import Conflict
from winnow.core.missing import missing_source
from winnow.core.types import JsonValue
from winnow.ports import KeptSource, SourceClaim, SourceRun

CANDIDATES: Final = 8  # that a claim tries; another process may take some of them at the same moment


class KeptSourceRow(Base, table=True):
    """A source that is kept with a collection, the lease of its run, and the outcome of the last one."""

    __tablename__ = "kept_sources"
    __table_args__ = (sa.UniqueConstraint("collection_uid", "tenant", "spec"),)

    id: str = Field(sa_column=sa.Column(Key, primary_key=True))
    collection_uid: str = Field(
        sa_column=sa.Column(Key, sa.ForeignKey("collections.uid", ondelete="CASCADE"), nullable=False)
    )
    spec: str = Field(sa_column=sa.Column(Key, nullable=False))
    tenant: str = Field(sa_column=sa.Column(Key, nullable=False))
    every_seconds: int | None
    options: JsonValue = Field(sa_column=sa.Column(sa.JSON, nullable=False))
    created_by: str
    created_at: datetime = Field(sa_column=sa.Column(UtcDateTime, nullable=False))
    next_at: datetime | None = Field(sa_column=sa.Column(UtcDateTime, index=True))
    token: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))
    owner: str | None
    lease_until: datetime | None = Field(sa_column=sa.Column(UtcDateTime))
    started_at: datetime | None = Field(sa_column=sa.Column(UtcDateTime))
    last: JsonValue = Field(sa_column=sa.Column(sa.JSON(none_as_null=True)))


KEPT_SOURCES: Final = sql_table(KeptSourceRow)
_IN_SERVICE: Final = and_(COLLECTIONS.c.uid == KEPT_SOURCES.c.collection_uid, COLLECTIONS.c.status == "ready")
_SELECT: Final = select(KEPT_SOURCES, COLLECTIONS.c.name.label("collection")).join(COLLECTIONS, _IN_SERVICE)
_ENDED: Final[dict[str, Any]] = {"owner": None, "lease_until": None, "started_at": None}


class SqlKeptSources(Repository):
    """The port ``KeptSourceCatalog`` in SQL."""

    async def add(self, source: KeptSource) -> KeptSource:
        async with self.database.write() as connection:
            uid = await uid_of(connection, source.collection, lock=True)  # so that none adds the same meanwhile
            same = (KEPT_SOURCES.c.collection_uid == uid, KEPT_SOURCES.c.tenant == source.tenant)
            known = await connection.scalar(select(KEPT_SOURCES.c.id).where(*same, KEPT_SOURCES.c.spec == source.spec))
            if known is not None:
                message = f"collection {source.collection!r} keeps the source {source.spec!r} already, as {known}"
                raise Conflict(message, location=("source",))
            values = {name: getattr(source, name) for name in ("id", "spec", "tenant", "every_seconds", "created_by")}
            values |= {"options": dict(source.options), "next_at": source.next_at, "token": 0}
            statement = insert(KEPT_SOURCES).values(**values, collection_uid=uid, created_at=self.clock())
            await connection.execute(statement)
            return await _read(connection, source.collection, source.id)

    async def list(self, collection: str | None = None) -> Sequence[KeptSource]:
        async with self.database.read() as connection:
            chosen = _SELECT
            if collection is not None:
                chosen = chosen.where(KEPT_SOURCES.c.collection_uid == await uid_of(connection, collection))
            rows = await connection.execute(chosen.order_by(KEPT_SOURCES.c.created_at, KEPT_SOURCES.c.id))
            return [_source(row) for row in rows.mappings()]

    async def get(self, collection: str, source_id: str) -> KeptSource:
        async with self.database.read() as connection:
            return await _read(connection, collection, source_id)

    async def remove(self, collection: str, source_id: str) -> KeptSource:
        async with self.database.write() as connection:
            found = await _read(connection, collection, source_id)
            await connection.execute(delete(KEPT_SOURCES).where(KEPT_SOURCES.c.id == source_id))
            return found

    async def demand(self, collection: str, source_id: str) -> KeptSource:
        async with self.database.write() as connection:
            await _read(connection, collection, source_id)
            due = update(KEPT_SOURCES).where(KEPT_SOURCES.c.id == source_id)
            await connection.execute(due.values(next_at=self.clock()))
            return await _read(connection, collection, source_id)

    async def claim(self, owner: str, *, seconds: float) -> SourceClaim | None:
        now = self.clock()
        until = now + timedelta(seconds=seconds)
        free = and_(KEPT_SOURCES.c.lease_until.is_(null()), KEPT_SOURCES.c.next_at <= now)
        due = or_(free, KEPT_SOURCES.c.lease_until < now)
        async with self.database.read() as connection:  # most of the time there is none: then no writer waits for it
            if await connection.scalar(select(KEPT_SOURCES.c.id).where(due).limit(1)) is None:
                return None
        async with self.database.write() as connection:
            found = await connection.execute(_SELECT.where(due).order_by(KEPT_SOURCES.c.next_at).limit(CANDIDATES))
            for row in found.mappings().all():
                every = row["every_seconds"]
                following = None if every is None else now + timedelta(seconds=every)
                taken = {"owner": owner, "lease_until": until, "started_at": now, "next_at": following}
                ours = (KEPT_SOURCES.c.id == row["id"], KEPT_SOURCES.c.token == row["token"])
                statement = update(KEPT_SOURCES).where(*ours).values(**taken, token=row["token"] + 1)
                if (await connection.execute(statement)).rowcount:
                    source = replace(_source(row), started_at=now, next_at=following)
                    return SourceClaim(source, row["token"] + 1, until)
        return None

    async def renew(self, claim: SourceClaim, *, seconds: float) -> bool:
        return await self._update(claim, {"lease_until": self.clock() + timedelta(seconds=seconds)})

    async def finish(self, claim: SourceClaim, run: SourceRun) -> bool:
        members = asdict(run) | {"started_at": run.started_at.isoformat(), "ended_at": run.ended_at.isoformat()}
        return await self._update(claim, {**_ENDED, "last": members})

    async def release(self, claim: SourceClaim) -> None:
        await self._update(claim, {**_ENDED, "next_at": self.clock()})

    async def _update(self, claim: SourceClaim, values: dict[str, Any]) -> bool:
        held = (KEPT_SOURCES.c.token == claim.token, KEPT_SOURCES.c.lease_until.is_not(null()))
        statement = update(KEPT_SOURCES).where(KEPT_SOURCES.c.id == claim.source.id, *held).values(values)
        async with self.database.write() as connection:
            return (await connection.execute(statement)).rowcount > 0


async def _read(connection: AsyncConnection, collection: str, source_id: str) -> KeptSource:
    uid = await uid_of(connection, collection)
    found = _SELECT.where(KEPT_SOURCES.c.id == source_id, KEPT_SOURCES.c.collection_uid == uid)
    row = (await connection.execute(found)).mappings().one_or_none()
    if row is None:
        raise missing_source(collection, source_id)
    return _source(row)


def _source(row: RowMapping) -> KeptSource:
    last = row["last"]
    members = {name: row[name] for name in ("id", "collection", "spec", "tenant", "every_seconds", "options")}
    members |= {name: row[name] for name in ("created_by", "created_at", "next_at", "started_at")}
    return KeptSource(**members, last=None if last is None else _run(last))


def _run(members: dict[str, Any]) -> SourceRun:
    moments = {name: datetime.fromisoformat(members[name]) for name in ("started_at", "ended_at")}
    return SourceRun(**members | moments | {"failures": tuple(members["failures"])})
