"""The ledger of work in SQL: leases, fencing, outcomes.

A document with work has ``due_at``; whoever claims it moves ``due_at`` to the end of the lease, so that the work
becomes due again if the worker dies. Every claim raises the token, and a commit must bring the newest one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, TypeVar

from sqlalchemy import Row, func, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog import entries
from winnow.catalog.collections import collection_of, find_collection
from winnow.catalog.documents import CONTENT_COLUMNS, SAME_DOCUMENT, document_of
from winnow.catalog.engine import Repository
from winnow.catalog.jobs import add_counters
from winnow.catalog.reembedding import is_behind
from winnow.catalog.rules.entries import REEMBED_PRIORITY, SETTLING, Entry, holds, kind_of, settle, was_tried
from winnow.catalog.rules.fairness import FairOrder, Queue
from winnow.catalog.rules.job_counters import JobCounters
from winnow.catalog.tables import COLLECTIONS, CONTENTS, DOCUMENTS, REMOVALS
from winnow.core.types import Collection
from winnow.ports import ChunkKey, Claim, Outcome, Removal

_QUEUE_ORDER: Final = (DOCUMENTS.c.priority.desc(), DOCUMENTS.c.submitted_at, DOCUMENTS.c.id)

_Item = TypeVar("_Item")


@dataclass
class SqlWorkQueue(Repository):
    """The port ``WorkQueue`` in SQL."""

    fair_order: FairOrder = field(default_factory=FairOrder)

    async def claim(self, owner: str, *, limit: int, lease_seconds: float) -> Sequence[Claim]:
        # in several transactions: one reads the queues, each other one tries to lease from one of them
        now = self.clock()
        leased = {"due_at": now + timedelta(seconds=lease_seconds), "lease_owner": owner}
        async with self.database.read() as connection:
            waiting = await _queues(connection, now, passing=self.fair_order.levels_passed())
        for queue in self.fair_order.order(waiting):
            async with self.database.write() as connection:
                claims = await _lease(connection, queue, leased, limit, now)
            if claims:  # else another worker was quicker: the next collection may have something left
                self.fair_order.served(queue.uid)
                return claims
        return ()

    async def renew(self, owner: str, claims: Sequence[Claim], *, lease_seconds: float) -> int:
        now, renewed = self.clock(), 0
        async with self.database.write() as connection:
            for collection, mine in await _by_collection(connection, claims, attrgetter("collection")):
                known = await entries.read(connection, collection.uid, {claim.document.id for claim in mine})
                held = [
                    replace(known[claim.document.id], due_at=now + timedelta(seconds=lease_seconds))
                    for claim in mine
                    if holds(known.get(claim.document.id), claim.token, owner, now)
                ]
                await entries.change(connection, collection.uid, held)
                renewed += len(held)
        return renewed

    async def commit(self, outcomes: Sequence[Outcome]) -> Sequence[bool]:
        accepted = [False] * len(outcomes)
        job_counters = JobCounters()
        async with self.database.write() as connection:
            now = self.clock()
            numbered = enumerate(outcomes)
            for collection, mine in await _by_collection(connection, numbered, lambda each: each[1].claim.collection):
                known = await entries.read(connection, collection.uid, {each.claim.document.id for _, each in mine})
                ends = Ends(collection.newer_generation)
                for number, outcome in mine:
                    accepted[number] = ends.record(known, outcome, job_counters, now)
                await entries.change(connection, collection.uid, ends.changed)
                await entries.change_with_chunks(connection, collection.uid, ends.indexed)
                await entries.remove(connection, collection.uid, list(ends.removed))
                await entries.add_removals(connection, collection.uid, ends.removed, now + SETTLING)
            await add_counters(connection, job_counters, now)
        return accepted

    async def outdated(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        found: list[Claim] = []
        async with self.database.read() as connection:
            for collection, mine in await _by_collection(connection, claims, attrgetter("collection")):
                ids = {claim.document.id for claim in mine}
                newest = await entries.revisions(connection, DOCUMENTS, collection.uid, ids)
                found += [claim for claim in mine if newest.get(claim.document.id, claim.revision + 1) > claim.revision]
        return found

    async def release(self, owner: str | None = None) -> int:
        leased = DOCUMENTS.c.lease_owner.is_not(null()) if owner is None else DOCUMENTS.c.lease_owner == owner
        async with self.database.write() as connection:
            now = self.clock()
            statement = update(DOCUMENTS).where(leased, DOCUMENTS.c.due_at > now)
            return (await connection.execute(statement.values(due_at=now, lease_owner=None))).rowcount

    async def backlog(self) -> int:
        waiting = select(func.count()).select_from(DOCUMENTS).where(DOCUMENTS.c.due_at.is_not(null()))
        async with self.database.read() as connection:
            return await connection.scalar(waiting) or 0

    async def enqueue_reembed(self, name: str, *, limit: int = 1000) -> int:
        async with self.database.write() as connection:
            now = self.clock()
            collection = await collection_of(connection, name)
            if collection.newer_generation is None:
                return 0
            mine = (DOCUMENTS.c.collection_uid == collection.uid, DOCUMENTS.c.state == "indexed")
            idle = (*mine, DOCUMENTS.c.due_at.is_(None))
            behind = (*idle, is_behind(collection.newer_generation), DOCUMENTS.c.error.is_(None))
            some = select(DOCUMENTS.c.id).where(*behind).order_by(DOCUMENTS.c.id).limit(limit)
            work = {"due_at": now, "submitted_at": now, "priority": REEMBED_PRIORITY, "attempts": 0}
            statement = update(DOCUMENTS).where(*idle, DOCUMENTS.c.id.in_(some.scalar_subquery()))
            return (await connection.execute(statement.values(work | {"lease_owner": None}))).rowcount

    async def removals(self, *, limit: int) -> Sequence[Removal]:
        columns = (COLLECTIONS.c.name, REMOVALS.c.id, REMOVALS.c.revision)
        statement = select(*columns).join(COLLECTIONS, COLLECTIONS.c.uid == REMOVALS.c.collection_uid)
        async with self.database.read() as connection:
            due = statement.where(REMOVALS.c.due_at <= self.clock(), COLLECTIONS.c.status == "ready")
            rows = await connection.execute(due.order_by(REMOVALS.c.due_at, REMOVALS.c.id).limit(limit))
            return [Removal(*row) for row in rows]

    async def forget_removals(self, removals: Sequence[Removal]) -> None:
        async with self.database.write() as connection:
            now = self.clock()
            for collection, mine in await _by_collection(connection, removals, attrgetter("collection")):
                ids = [removal.document_id for removal in mine]  # those that were deleted again since stay
                await entries.remove_removals(connection, collection.uid, ids, until=now)


@dataclass
class Ends:
    """How the claims of one commit ended, sorted by what has to be written; ``newer`` as in ``settle``."""

    newer: int | None
    changed: list[Entry] = field(default_factory=list)
    indexed: list[tuple[Entry, tuple[ChunkKey, ...]]] = field(default_factory=list)
    removed: dict[str, int] = field(default_factory=dict)

    def record(self, known: dict[str, Entry], outcome: Outcome, job_counters: JobCounters, now: datetime) -> bool:
        """Settle one outcome against the ``known`` entries; false where it has been overtaken."""
        document_id = outcome.claim.document.id
        before = known.get(document_id)
        settlement = settle(before, outcome, now, newer=self.newer)
        if before is None or settlement is None:
            return False
        if settlement.recorded:
            job_counters.settle(before.job_id, outcome, settlement)
        del known[document_id]  # a second outcome for it in this batch is too late
        if settlement.entry is None:
            self.removed[document_id] = before.revision
        elif settlement.ending == "indexed":
            self.indexed.append((settlement.entry, outcome.chunks))
        else:
            self.changed.append(settlement.entry)
        return settlement.recorded


async def _by_collection(
    connection: AsyncConnection, items: Iterable[_Item], name_of: Callable[[_Item], str]
) -> list[tuple[Collection, list[_Item]]]:
    """Group items by their collections; those of collections that are not in service are left out."""
    groups = [(name, list(group)) for name, group in groupby(sorted(items, key=name_of), key=name_of)]
    found = [(await find_collection(connection, name), group) for name, group in groups]
    return [(collection, group) for collection, group in found if collection is not None]


async def _queues(connection: AsyncConnection, now: datetime, *, passing: int) -> list[Queue]:
    """The collections with work that is due, read from the heads of their parts of the index.

    The ``passing`` highest levels of priority are skipped, as far as there is work below them.
    """
    found = await _heads(connection, now, below=None)
    for _ in range(passing):
        highest = max((queue.priority for queue in found), default=0)
        lower = await _heads(connection, now, below=highest)
        if not lower:
            break
        found = lower
    return found


async def _heads(connection: AsyncConnection, now: datetime, *, below: int | None) -> list[Queue]:
    due = [DOCUMENTS.c.collection_uid == COLLECTIONS.c.uid, DOCUMENTS.c.due_at <= now]
    if below is not None:
        due.append(DOCUMENTS.c.priority < below)
    heads = [
        select(column).where(*due).order_by(*_QUEUE_ORDER).limit(1).scalar_subquery()
        for column in (DOCUMENTS.c.priority, DOCUMENTS.c.submitted_at)
    ]
    rows = await connection.execute(select(COLLECTIONS.c.uid, *heads))
    return [Queue(uid, priority, waiting_since) for uid, priority, waiting_since in rows if priority is not None]


async def _lease(
    connection: AsyncConnection, queue: Queue, leased: dict[str, Any], limit: int, now: datetime
) -> list[Claim]:
    """Claim due documents of one queue and set ``leased`` in them; those locked by another claim are skipped."""
    uid = queue.uid
    due = (DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.priority <= queue.priority, DOCUMENTS.c.due_at <= now)
    statement = (
        select(COLLECTIONS.c.name.label("collection"), DOCUMENTS, *CONTENT_COLUMNS)
        .join_from(DOCUMENTS, CONTENTS, SAME_DOCUMENT)
        .join(COLLECTIONS, COLLECTIONS.c.uid == DOCUMENTS.c.collection_uid)
        .where(*due)
        .order_by(*_QUEUE_ORDER)
        .limit(limit)
        # both tables: of a row that is only joined PostgreSQL may return an older revision than the locked one's
        .with_for_update(of=(DOCUMENTS, CONTENTS), skip_locked=True)
    )
    claims = [_claim(row) for row in await connection.execute(statement)]
    if claims:
        mine = (DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id.in_([claim.document.id for claim in claims]))
        tried = {"token": DOCUMENTS.c.token + 1, "attempts": DOCUMENTS.c.attempts + 1}
        await connection.execute(update(DOCUMENTS).where(*mine).values(tried | leased))
    return claims


def _claim(row: Row[Any]) -> Claim:
    return Claim(
        collection=row.collection,
        kind=kind_of(row.state),
        document=document_of(row),
        revision=row.revision,
        token=row.token + 1,
        previous=() if row.indexed_revision is None else row.chunks,
        attempts=row.attempts,
        tried=was_tried(row.attempts, row.submitted_at, row.updated_at),
    )
