"""The catalog in a database: every method is one transaction; the statements live in the modules beside this one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from winnow.catalog import audits, collections, documents, jobs, ledger, reembedding, removals, submissions
from winnow.catalog.engine import Database
from winnow.catalog.removals import forget as forget_removals
from winnow.catalog.rules.fairness import FairOrder
from winnow.catalog.rules.submissions import Order, sort_batch
from winnow.catalog.tables import COLLECTIONS
from winnow.core.clock import Clock
from winnow.core.ids import new_id
from winnow.core.types import Collection, Counts, Document, DocumentState, IndexIdentity, JobStatus, Metadata
from winnow.ports import (
    Catalog,
    Claim,
    DocumentKey,
    Job,
    LedgerEntry,
    Outcome,
    ReembedProgress,
    Removal,
    StoredDocument,
    Submission,
)

SCAN_BATCH: Final = 64
METADATA_BATCH: Final = 500


@dataclass
class _Repository:
    database: Database
    clock: Clock

    def order(self, source: str, priority: int) -> Order:
        return Order(new_id("job"), source, priority, self.clock())


class SqlCollections(_Repository):
    """Collections, in SQL."""

    async def create(self, collection: Collection) -> Collection:
        async with self.database.write() as connection:
            return await collections.create(connection, collection, collection.created_at or self.clock())

    async def get(self, name: str) -> Collection:
        async with self.database.read() as connection:
            return await collections.get(connection, name)

    async def update(self, collection: Collection) -> Collection:
        async with self.database.write() as connection:
            return await collections.replace(connection, collection)

    async def mark_deleting(self, name: str) -> Collection:
        async with self.database.write() as connection:
            return await collections.mark_deleting(connection, name)

    async def purge(self, uid: str) -> None:
        """As the port says, but in several transactions: a large collection must not keep other writers waiting."""
        more = True
        while more:
            async with self.database.write() as connection:
                more = await collections.purge_some(connection, uid)

    async def begin_reembed(self, name: str, identity: IndexIdentity) -> Collection:
        async with self.database.write() as connection:
            return await reembedding.begin(connection, name, identity, self.clock())

    async def switch_index(self, name: str, *, force: bool = False) -> Collection:
        async with self.database.write() as connection:
            return await reembedding.switch_index(connection, name, force=force)

    async def clear_beside(self, name: str) -> Collection:
        async with self.database.write() as connection:
            return await reembedding.clear(connection, name)

    async def get_with_counts(self, name: str) -> tuple[Collection, Counts]:
        async with self.database.read() as connection:
            return await collections.get_with_counts(connection, name)

    async def list_with_counts(self) -> Sequence[tuple[Collection, Counts]]:
        async with self.database.read() as connection:
            return await collections.list_with_counts(connection)

    async def list(self, *, deleting: bool = False) -> Sequence[Collection]:
        async with self.database.read() as connection:
            return await collections.list_all(connection, deleting=deleting)


class SqlDocuments(_Repository):
    """Documents, in SQL."""

    async def counts(self, name: str) -> Counts:
        async with self.database.read() as connection:
            return (await collections.get_with_counts(connection, name))[1]

    async def submit(
        self, collection: str, documents: Sequence[Document], *, source: str = "", priority: int = 0
    ) -> Submission:
        batch = await asyncio.to_thread(sort_batch, documents)
        order = self.order(source, priority)
        async with self.database.write() as connection:
            return await submissions.submit(connection, collection, batch, order)

    async def tombstone(self, collection: str, document_ids: Sequence[str], *, priority: int = 0) -> Submission:
        order = self.order("", priority)
        async with self.database.write() as connection:
            return await submissions.tombstone(connection, collection, document_ids, order)

    async def get(self, collection: str, document_id: str) -> StoredDocument:
        async with self.database.read() as connection:
            return await documents.get(connection, collection, document_id)

    async def scan_metadata(self, collection: str) -> AsyncIterator[tuple[str, Metadata]]:
        async with self.database.read() as connection:
            uid = await collections.uid_of(connection, collection)
        after, found = "", None
        while found is None or len(found) == METADATA_BATCH:
            async with self.database.read() as connection:
                found = await documents.metadata_page(connection, uid, after=after, limit=METADATA_BATCH)
            for id_, metadata in found:
                yield id_, metadata
                after = id_

    async def scan(self, collection: str, *, source: str | None = None) -> AsyncIterator[StoredDocument]:
        async with self.database.read() as connection:
            uid = await collections.uid_of(connection, collection)
        after = ""
        while True:
            async with self.database.read() as connection:
                found = await documents.read_rows(connection, uid, after=after, limit=SCAN_BATCH, source=source)
            for stored in found:
                yield stored
            if len(found) < SCAN_BATCH:
                return
            after = found[-1].document.id

    async def list(
        self,
        collection: str,
        *,
        after: str = "",
        limit: int = 1000,
        source: str | None = None,
        state: DocumentState | None = None,
    ) -> Sequence[DocumentKey]:
        async with self.database.read() as connection:
            return await documents.keys(connection, collection, after=after, limit=limit, source=source, state=state)


class SqlWorkQueue(_Repository):
    """The ledger of work, in SQL."""

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(database, clock)
        self._fair_order = FairOrder()

    async def claim(self, owner: str, *, limit: int, lease_seconds: float) -> Sequence[Claim]:
        now = self.clock()
        until = now + timedelta(seconds=lease_seconds)
        async with self.database.read() as connection:
            waiting = await ledger.queues(connection, now, passing=self._fair_order.levels_passed())
        for queue in self._fair_order.order(waiting):
            async with self.database.write() as connection:
                claims = await ledger.claim(connection, queue, owner, limit=limit, now=now, until=until)
            if claims:  # else another worker was quicker: the next collection may have something left
                self._fair_order.served(queue.uid)
                return claims
        return ()

    async def renew(self, owner: str, claims: Sequence[Claim], *, lease_seconds: float) -> int:
        now = self.clock()
        until = now + timedelta(seconds=lease_seconds)
        async with self.database.write() as connection:
            return await ledger.renew(connection, owner, claims, now=now, until=until)

    async def commit(self, outcomes: Sequence[Outcome]) -> Sequence[bool]:
        async with self.database.write() as connection:
            return await ledger.commit(connection, outcomes, self.clock())

    async def outdated(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        async with self.database.read() as connection:
            return await ledger.outdated(connection, claims)

    async def removals(self, *, limit: int) -> Sequence[Removal]:
        async with self.database.read() as connection:
            return await removals.due(connection, limit=limit, now=self.clock())

    async def forget_removals(self, removals: Sequence[Removal]) -> None:
        async with self.database.write() as connection:
            await forget_removals(connection, removals, self.clock())

    async def release(self, owner: str | None = None) -> int:
        async with self.database.write() as connection:
            return await ledger.release(connection, owner, self.clock())

    async def backlog(self) -> int:
        async with self.database.read() as connection:
            return await ledger.backlog(connection)

    async def enqueue_reembed(self, name: str, *, limit: int = 1000) -> int:
        async with self.database.write() as connection:
            return await reembedding.enqueue(connection, name, limit=limit, now=self.clock())


class SqlJobs(_Repository):
    """Jobs, in SQL."""

    async def get(self, job_id: str) -> Job:
        async with self.database.read() as connection:
            return await jobs.get(connection, job_id)

    async def retry(self, job_id: str, *, priority: int = 0) -> Submission:
        async with self.database.write() as connection:
            return await submissions.requeue_failures(connection, job_id, self.order("", priority))

    async def cancel(self, job_id: str) -> Job:
        """As the port says, but in several transactions: a large job must not keep other writers waiting."""
        after: str | None = ""
        while after is not None:
            async with self.database.write() as connection:
                after = await submissions.cancel(connection, job_id, after, self.order("", 0))
        return await self.get(job_id)

    async def prune(self, *, before: datetime, limit: int = 1000) -> int:
        async with self.database.write() as connection:
            return await jobs.prune(connection, before=before, limit=limit)

    async def list(
        self,
        *,
        collection: str | None = None,
        status: JobStatus | None = None,
        failed: bool = False,
        after: str = "",
        limit: int = 100,
    ) -> Sequence[Job]:
        async with self.database.read() as connection:
            return await jobs.list_some(
                connection, collection=collection, status=status, failed=failed, after=after, limit=limit
            )


class SqlAudit(_Repository):
    """Checks of the ledger, in SQL."""

    async def entries(
        self, collection: str, *, after: str = "", limit: int = 1000, among: Sequence[str] | None = None
    ) -> Sequence[LedgerEntry]:
        async with self.database.read() as connection:
            return await audits.ledger_entries(connection, collection, after=after, limit=limit, among=among)

    async def repair(self, collection: str, revisions: Mapping[str, int], *, priority: int = 0) -> Submission:
        order = self.order("", priority)
        async with self.database.write() as connection:
            return await audits.repair(connection, collection, revisions, order)

    async def reembed_progress(self, name: str) -> ReembedProgress:
        async with self.database.read() as connection:
            return await reembedding.progress(connection, name)


def catalog_of(database: Database, clock: Clock) -> Catalog:
    """The catalog in a migrated database, which is closed with it."""

    async def check() -> None:
        async with database.read() as connection:
            await connection.execute(select(COLLECTIONS.c.uid).limit(1))

    return Catalog(
        collections=SqlCollections(database, clock),
        documents=SqlDocuments(database, clock),
        queue=SqlWorkQueue(database, clock),
        jobs=SqlJobs(database, clock),
        audit=SqlAudit(database, clock),
        check=check,
        close=database.close,
    )
