"""API keys in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, bindparam, func, insert, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog.access_tables import API_KEYS
from winnow.catalog.delayed import DelayedWrite
from winnow.catalog.engine import Database, Repository
from winnow.catalog.tables import UtcDateTime
from winnow.core.clock import Clock
from winnow.core.errors import WinnowError
from winnow.core.missing import missing_key
from winnow.core.principal import LimitName
from winnow.ports import ApiKey, KeySummary

USED_SECONDS: Final = 30.0
_USED: Final = (
    update(API_KEYS)
    .where(API_KEYS.c.id == bindparam("key_id"))
    .where(or_(API_KEYS.c.last_used_at.is_(null()), API_KEYS.c.last_used_at < bindparam("now", type_=UtcDateTime())))
    .values(last_used_at=bindparam("now", type_=UtcDateTime()))
)


class SqlKeys(Repository):
    """The port ``KeyCatalog`` in SQL."""

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(database, clock)
        self._used: dict[str, datetime] = {}
        self._delayed = DelayedWrite(self._write_used, seconds=USED_SECONDS, name="last use of keys")

    async def add(self, key: ApiKey) -> ApiKey:
        async with self.database.write() as connection:
            return await self._add(connection, key)

    async def get(self, key_id: str) -> ApiKey:
        async with self.database.read() as connection:
            return await _read(connection, key_id)

    async def list(self) -> Sequence[ApiKey]:
        async with self.database.read() as connection:
            rows = await connection.execute(select(API_KEYS).order_by(API_KEYS.c.created_at, API_KEYS.c.id))
            return [_key(row) for row in rows.mappings()]

    async def revoke(self, key_id: str) -> ApiKey:
        valid = (API_KEYS.c.id == key_id, API_KEYS.c.revoked_at.is_(null()))
        async with self.database.write() as connection:
            await connection.execute(update(API_KEYS).where(*valid).values(revoked_at=self.clock()))
            return await _read(connection, key_id)

    async def set_limits(self, key_id: str, limits: Mapping[LimitName, int]) -> ApiKey:
        async with self.database.write() as connection:
            await connection.execute(update(API_KEYS).where(API_KEYS.c.id == key_id).values(limits=dict(limits)))
            return await _read(connection, key_id)

    async def replace(self, old_id: str, new: ApiKey, *, old_expires_at: datetime) -> ApiKey:
        async with self.database.write() as connection:
            old = await _read(connection, old_id)
            if old.expires_at is None or old.expires_at > old_expires_at:
                ending = update(API_KEYS).where(API_KEYS.c.id == old_id)
                await connection.execute(ending.values(expires_at=old_expires_at))
            return await self._add(connection, replace(new, replaces=old_id))

    def used(self, key_id: str) -> None:
        self._used[key_id] = self.clock()
        self._delayed.ask()

    async def summary(self) -> KeySummary:
        origins = select(API_KEYS.c.origins).where(API_KEYS.c.revoked_at.is_(null()), API_KEYS.c.origins != ())
        async with self.database.read() as connection:
            exist = await connection.scalar(select(func.count()).select_from(select(API_KEYS.c.id).limit(1).subquery()))
            found = (await connection.scalars(origins.distinct())).all() if exist else ()
        return KeySummary(bool(exist), frozenset(origin for several in found for origin in several))

    async def close(self) -> None:
        """Write the uses that were noted."""
        await self._delayed.close()

    async def _add(self, connection: AsyncConnection, key: ApiKey) -> ApiKey:
        stored = replace(key, created_at=self.clock())
        await connection.execute(insert(API_KEYS), asdict(stored) | {"scopes": tuple(sorted(key.scopes))})
        return stored

    async def _write_used(self) -> None:
        used, self._used = self._used, {}
        rows: list[dict[str, Any]] = [{"key_id": key_id, "now": moment} for key_id, moment in sorted(used.items())]
        try:
            async with self.database.write() as connection:
                await connection.execute(_USED, rows)
        except WinnowError:
            self._used = used | self._used
            raise


async def _read(connection: AsyncConnection, key_id: str) -> ApiKey:
    row = (await connection.execute(select(API_KEYS).where(API_KEYS.c.id == key_id))).mappings().one_or_none()
    if row is None:
        raise missing_key(key_id)
    return _key(row)


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(**{**row, "scopes": frozenset(row["scopes"]), "limits": row["limits"] or {}})
