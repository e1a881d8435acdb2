"""The ledger of work in SQL: leases, fencing, outcomes.

A document with work has ``due_at``; whoever claims it moves ``due_at`` to the end of the lease, so that the work
becomes due again if the worker dies. Every claim raises the token, and a commit must bring the newest one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

from sqlalchemy import case, exists, func, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog import entries
from winnow.catalog.claims import Terms, lease, waiting_queues
from winnow.catalog.collections import collection_of, find_collection
from winnow.catalog.engine import Repository, keep_index_order
from winnow.catalog.jobs import add_counters, pending_documents
from winnow.catalog.reembedding import is_behind, waiting_reembeddings
from winnow.catalog.rules.entries import REEMBED_PRIORITY, SETTLING, Entry, holds, settle
from winnow.catalog.rules.fairness import FairOrder
from winnow.catalog.rules.frontier import Frontier, Levels
from winnow.catalog.rules.job_counters import JobCounters
from winnow.catalog.table_maintenance import TableMaintenance
from winnow.catalog.tables import COLLECTIONS, DOCUMENTS, REMOVALS
from winnow.core.types import Collection
from winnow.ports import ChunkKey, Claim, Outcome, Removal

_Item = TypeVar("_Item")


@dataclass
class SqlWorkQueue(Repository):
    """The port ``WorkQueue`` in SQL."""

    maintenance: TableMaintenance
    fair_order: FairOrder = field(default_factory=FairOrder)
    frontier: Frontier = field(default_factory=Frontier)

    async def claim(self, owner: str, *, limit: int, lease_seconds: float) -> Sequence[Claim]:
        # in several transactions: one reads the queues, each other one tries to lease from one of them
        now = self.clock()
        terms = Terms(owner, limit, now, now + timedelta(seconds=lease_seconds))
        if not self.frontier.may_walk(now):
            claims = await self._claim(self.frontier.positions(), terms)
            if claims or not self.frontier.may_walk(now, idle=True):
                return claims
        return await self._claim({}, terms)

    async def _claim(self, positions: Mapping[str, Levels], terms: Terms) -> Sequence[Claim]:
        """Claim from the first queue in order that has something left; without ``positions`` from its head."""
        passing = self.fair_order.levels_passed()
        async with self.database.read() as connection:
            await keep_index_order(connection)
            began = self.clock()
            waiting = await waiting_queues(connection, terms.now, positions, passing=passing)
            if not positions:
                self.frontier.walked(began, self.clock())
        for queue in self.fair_order.order(waiting):
            self.frontier.reached(queue.uid, queue.priority, (queue.waiting_since, queue.document_id))
            async with self.database.write() as connection:
                await keep_index_order(connection)
                claims, last = await lease(connection, queue, self.frontier.levels(queue.uid), terms)
            for priority, position in last.items():
                self.frontier.reached(queue.uid, priority, position)
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
        self.maintenance.wrote(len(outcomes))
        return accepted

    async def outdated(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        found: list[Claim] = []
        async with self.database.read() as connection:
            for collection, mine in await _by_collection(connection, claims, attrgetter("collection")):
                ids = {claim.document.id for claim in mine}
                newest = await entries.revisions(connection, DOCUMENTS, collection.uid, ids)
                found += [claim for claim in mine if newest.get(claim.document.id, claim.revision + 1) > claim.revision]
        return found

    async def release(self, owner: str | None = None, *, tried: bool = True) -> int:
        leased = DOCUMENTS.c.lease_owner.is_not(null()) if owner is None else DOCUMENTS.c.lease_owner == owner
        async with self.database.write() as connection:
            now = self.clock()
            given_back: dict[str, object] = {"due_at": now, "lease_owner": None}
            if not tried:  # a document that was changed meanwhile has no attempt yet
                given_back["attempts"] = case((DOCUMENTS.c.attempts > 0, DOCUMENTS.c.attempts - 1), else_=0)
            statement = update(DOCUMENTS).where(leased, DOCUMENTS.c.due_at > now)
            return (await connection.execute(statement.values(given_back))).rowcount

    async def backlog(self) -> int:
        async with self.database.read() as connection:
            await keep_index_order(connection)
            return await pending_documents(connection) + await waiting_reembeddings(connection)

    async def oldest_work(self) -> datetime | None:
        waits = (DOCUMENTS.c.due_at.is_not(null()), DOCUMENTS.c.priority > REEMBED_PRIORITY)
        async with self.database.read() as connection:  # the index of the queue has all of it: no row is read
            found: datetime | None = await connection.scalar(select(func.min(DOCUMENTS.c.submitted_at)).where(*waits))
            return found

    async def is_unattended(self, seconds: float) -> bool:
        now = self.clock()
        due = DOCUMENTS.c.due_at  # which is in the queue's index: no row is read
        overdue, later = (exists().where(each) for each in (due <= now - timedelta(seconds=seconds), due > now))
        async with self.database.read() as connection:
            await keep_index_order(connection)
            return bool(await connection.scalar(select(overdue & ~later)))

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
