"""Lost indexes in SQL: the record in the collection's row, and the queueing of its documents page by page.

The row's lock makes processes that rebuild one index take turns, so that each page is queued once.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, insert, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog import entries
from winnow.catalog.collections import collection_of, uid_of
from winnow.catalog.engine import Repository, allow_long
from winnow.catalog.jobs import PENDING, new_order
from winnow.catalog.rules.job_counters import ADDED
from winnow.catalog.rules.rebuilds import plan_rebuild
from winnow.catalog.rules.submissions import Order
from winnow.catalog.tables import COLLECTIONS, DOCUMENTS, JOBS
from winnow.core.rebuild import Rebuild, RebuildProgress
from winnow.core.types import Collection

PRIORITY = 5  # below what a user waits for, above bulk loads


class SqlRebuilds(Repository):
    """The port ``RebuildCatalog`` in SQL."""

    async def begin(self, name: str, generation: int) -> Collection:
        order = new_order(self.clock())
        async with self.database.write() as connection:
            uid = await uid_of(connection, name, lock=True)
            collection = await collection_of(connection, name)
            if collection.rebuild is not None or collection.serving.generation != generation:
                return collection
            values: dict[str, Any] = dict.fromkeys((*ADDED, "total", "unchanged"), 0)
            values |= {"id": order.job_id, "collection_uid": uid, "tenant": None, "created_at": order.now}
            await connection.execute(insert(JOBS), values)
            await _record(connection, uid, Rebuild(generation, order.job_id, order.now))
            return await collection_of(connection, name)

    async def restart(self, name: str) -> Collection:
        async with self.database.write() as connection:
            uid = await uid_of(connection, name, lock=True)
            collection = await collection_of(connection, name)
            if (rebuild := collection.rebuild) is not None:
                await _record(connection, uid, Rebuild(rebuild.generation, rebuild.job_id, rebuild.since))
            return await collection_of(connection, name)

    async def queue(self, name: str, *, limit: int = 1000) -> int:
        async with self.database.write() as connection:
            uid = await uid_of(connection, name, lock=True)
            rebuild = (await collection_of(connection, name)).rebuild
            if rebuild is None or rebuild.queued_to is None:
                return 0
            mine = (DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id > rebuild.queued_to)
            page = select(DOCUMENTS.c.id).where(*mine).order_by(DOCUMENTS.c.id).limit(limit)
            ids = list(await connection.scalars(page))
            order = Order(rebuild.job_id, "", PRIORITY, self.clock(), None)
            plan = plan_rebuild((await entries.read(connection, uid, ids)).values(), order)
            await entries.change(connection, uid, [*plan.queued, *plan.fenced])
            last = ids[-1] if len(ids) == limit else None
            await _grow(connection, rebuild.job_id, len(plan.queued), order.now)
            await _record(connection, uid, Rebuild(rebuild.generation, rebuild.job_id, rebuild.since, last))
            return len(ids)

    async def queue_second(self, name: str) -> None:
        async with self.database.write() as connection:
            await allow_long(connection)
            uid = await uid_of(connection, name, lock=True)
            now = self.clock()
            written = or_(DOCUMENTS.c.built.is_not(null()), DOCUMENTS.c.lease_owner.is_not(null()))
            # the token moves: what a worker has written to the lost index is not recorded at its commit
            freed = case((DOCUMENTS.c.due_at.is_(null()), null()), else_=now)
            values = {"built": null(), "token": DOCUMENTS.c.token + 1, "lease_owner": null(), "due_at": freed}
            await connection.execute(update(DOCUMENTS).where(DOCUMENTS.c.collection_uid == uid, written).values(values))

    async def progress(self, name: str) -> RebuildProgress | None:
        async with self.database.read() as connection:
            collection = await collection_of(connection, name)
            rebuild = collection.rebuild
            if rebuild is None:
                return None
            found = (
                await connection.execute(select(JOBS.c.total, PENDING.label("left")).where(JOBS.c.id == rebuild.job_id))
            ).one_or_none()
            total, left = (0, 0) if found is None else found
            if rebuild.queued_to is not None:
                beyond = (DOCUMENTS.c.collection_uid == collection.uid, DOCUMENTS.c.id > rebuild.queued_to)
                ahead = select(func.count()).select_from(DOCUMENTS).where(*beyond, DOCUMENTS.c.state == "indexed")
                more = int(await connection.scalar(ahead) or 0)
                total, left = total + more, left + more
            return RebuildProgress(total - left, total)

    async def end(self, name: str) -> bool:
        async with self.database.write() as connection:
            uid = await uid_of(connection, name, lock=True)
            rebuild = (await collection_of(connection, name)).rebuild
            if rebuild is None:
                return True
            left = await connection.scalar(select(PENDING).where(JOBS.c.id == rebuild.job_id))
            if rebuild.queued_to is not None or left:
                return False
            await connection.execute(update(COLLECTIONS).where(COLLECTIONS.c.uid == uid).values(rebuild=null()))
            return True


async def _record(connection: AsyncConnection, uid: str, rebuild: Rebuild) -> None:
    await connection.execute(update(COLLECTIONS).where(COLLECTIONS.c.uid == uid).values(rebuild=asdict(rebuild)))


async def _grow(connection: AsyncConnection, job_id: str, number: int, now: datetime) -> None:
    """Add documents to the job, which is finished if it has none that are pending."""
    left = PENDING + number
    values = {"total": JOBS.c.total + number, "finished_at": case((left == 0, now), else_=null())}
    await connection.execute(update(JOBS).where(JOBS.c.id == job_id).values(values))
