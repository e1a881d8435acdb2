"""The ledger of work: leases, fencing, outcomes.

A document with work has ``due_at``; whoever claims it moves ``due_at`` to the end of the lease, so that the work
comes back by itself if the worker dies. Every claim raises the token, and a commit must bring the newest one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, ScalarSelect, func, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog import collections, entries, jobs, reembedding, removals
from winnow.catalog.documents import CONTENT_COLUMNS, SAME_DOCUMENT, document_of
from winnow.catalog.rules.entries import SETTLING, Entry, holds, kind_of, settle, was_tried
from winnow.catalog.rules.fairness import Queue
from winnow.catalog.rules.job_counters import JobCounters
from winnow.catalog.tables import COLLECTIONS, CONTENTS, DOCUMENTS
from winnow.ports import ChunkKey, Claim, Outcome

_QUEUE_ORDER: Final = (DOCUMENTS.c.priority.desc(), DOCUMENTS.c.submitted_at, DOCUMENTS.c.id)


async def queues(connection: AsyncConnection, now: datetime, *, passing: int) -> list[Queue]:
    """Every collection with work that is due, by looking at the head of its part of the index.

    ``passing`` levels of priority are passed over, as far as there is work below them.
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
    heads = (_head(column, due) for column in (DOCUMENTS.c.priority, DOCUMENTS.c.submitted_at))
    rows = await connection.execute(select(COLLECTIONS.c.uid, *heads))
    return [Queue(uid, priority, waiting_since) for uid, priority, waiting_since in rows if priority is not None]


def _head(column: ColumnElement[Any], due: Sequence[ColumnElement[bool]]) -> ScalarSelect[Any]:
    return select(column).where(*due).order_by(*_QUEUE_ORDER).limit(1).scalar_subquery()


async def claim(
    connection: AsyncConnection, queue: Queue, owner: str, *, limit: int, now: datetime, until: datetime
) -> list[Claim]:
    """Lease due documents of one queue; what another worker is claiming just now is passed over."""
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
        leased = {
            "token": DOCUMENTS.c.token + 1,
            "attempts": DOCUMENTS.c.attempts + 1,
            "due_at": until,
            "lease_owner": owner,
        }
        await connection.execute(update(DOCUMENTS).where(*mine).values(leased))
    return claims


async def renew(
    connection: AsyncConnection, owner: str, claims: Sequence[Claim], *, now: datetime, until: datetime
) -> int:
    """Prolong the leases that still hold."""
    renewed = 0
    for name, numbers in _by_collection(claims).items():
        uid = await collections.find_uid(connection, name)
        if uid is None:
            continue
        mine = [claims[number] for number in numbers]
        known = await entries.read(connection, uid, {claim.document.id for claim in mine})
        held = [claim.document.id for claim in mine if holds(known.get(claim.document.id), claim.token, owner, now)]
        await entries.change(connection, uid, [replace(known[document_id], due_at=until) for document_id in held])
        renewed += len(held)
    return renewed


async def commit(connection: AsyncConnection, outcomes: Sequence[Outcome], now: datetime) -> list[bool]:
    """Record outcomes; false for each that has been overtaken."""
    accepted = [False] * len(outcomes)
    job_counters = JobCounters()
    for name, numbers in _by_collection([outcome.claim for outcome in outcomes]).items():
        uid = await collections.find_uid(connection, name)
        if uid is None:
            continue
        newer = await reembedding.newer_generation(connection, uid)
        known = await entries.read(connection, uid, {outcomes[number].claim.document.id for number in numbers})
        ends = Ends(newer)
        for number in numbers:
            accepted[number] = ends.record(known, outcomes[number], job_counters, now)
        await entries.change(connection, uid, ends.changed)
        await entries.change_with_chunks(connection, uid, ends.indexed)
        await entries.remove(connection, uid, list(ends.removed))
        await removals.record(connection, uid, ends.removed, now + SETTLING)
    await jobs.add(connection, job_counters, now)
    return accepted


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


async def outdated(connection: AsyncConnection, claims: Sequence[Claim]) -> list[Claim]:
    """Those claims whose documents have moved on to a newer revision, or are gone."""
    found: list[Claim] = []
    for name, numbers in _by_collection(claims).items():
        uid = await collections.find_uid(connection, name)
        if uid is None:
            continue
        mine = [claims[number] for number in numbers]
        newest = await entries.revisions(connection, uid, {claim.document.id for claim in mine})
        found += [claim for claim in mine if newest.get(claim.document.id, claim.revision + 1) > claim.revision]
    return found


async def release(connection: AsyncConnection, owner: str | None, now: datetime) -> int:
    """Make leased work due at once."""
    leased = DOCUMENTS.c.lease_owner.is_not(null()) if owner is None else DOCUMENTS.c.lease_owner == owner
    statement = update(DOCUMENTS).where(leased, DOCUMENTS.c.due_at > now)
    return (await connection.execute(statement.values(due_at=now, lease_owner=None))).rowcount


async def backlog(connection: AsyncConnection) -> int:
    """Documents with work, leased ones and pausing ones among them."""
    waiting = select(func.count()).select_from(DOCUMENTS).where(DOCUMENTS.c.due_at.is_not(null()))
    return await connection.scalar(waiting) or 0


def _by_collection(claims: Sequence[Claim]) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    for number, claim in enumerate(claims):
        numbers.setdefault(claim.collection, []).append(number)
    return numbers


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
