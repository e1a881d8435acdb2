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

from retrieval.catalog import collections, entries, jobs
from retrieval.catalog.documents import CONTENT_COLUMNS, SAME_DOCUMENT, document_of
from retrieval.catalog.rules import Entry, holds, settle
from retrieval.catalog.tables import COLLECTIONS, CONTENTS, DOCUMENTS
from retrieval.catalog.tallies import Tally
from retrieval.catalog.turns import Queue
from retrieval.ports import ChunkKey, Claim, Outcome

_QUEUE_ORDER: Final = (DOCUMENTS.c.priority.desc(), DOCUMENTS.c.submitted_at, DOCUMENTS.c.id)


async def queues(connection: AsyncConnection, now: datetime) -> list[Queue]:
    """Every collection with work that is due, by looking at the head of its part of the index."""
    columns = (COLLECTIONS.c.uid, _head(DOCUMENTS.c.priority, now), _head(DOCUMENTS.c.submitted_at, now))
    rows = await connection.execute(select(*columns))
    return [Queue(uid, priority, waiting_since) for uid, priority, waiting_since in rows if priority is not None]


def _head(column: ColumnElement[Any], now: datetime) -> ScalarSelect[Any]:
    due = (DOCUMENTS.c.collection_uid == COLLECTIONS.c.uid, DOCUMENTS.c.due_at <= now)
    return select(column).where(*due).order_by(*_QUEUE_ORDER).limit(1).scalar_subquery()


async def claim(
    connection: AsyncConnection, uid: str, owner: str, *, limit: int, now: datetime, until: datetime
) -> list[Claim]:
    """Lease due documents of one collection; what another worker is claiming just now is passed over."""
    due = (DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.due_at <= now)
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
    tally = Tally()
    for name, numbers in _by_collection([outcome.claim for outcome in outcomes]).items():
        uid = await collections.find_uid(connection, name)
        if uid is None:
            continue
        known = await entries.read(connection, uid, {outcomes[number].claim.document.id for number in numbers})
        ends = Ends()
        for number in numbers:
            accepted[number] = ends.record(known, outcomes[number], tally, now)
        await entries.change(connection, uid, ends.changed)
        await entries.change_with_chunks(connection, uid, ends.indexed)
        await entries.remove(connection, uid, ends.removed)
    await jobs.add(connection, tally, now)
    return accepted


@dataclass
class Ends:
    """How the claims of one commit ended, sorted by what has to be written."""

    changed: list[Entry] = field(default_factory=list)
    indexed: list[tuple[Entry, tuple[ChunkKey, ...]]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def record(self, known: dict[str, Entry], outcome: Outcome, tally: Tally, now: datetime) -> bool:
        """Settle one outcome against the ``known`` entries; false where it has been overtaken."""
        document_id = outcome.claim.document.id
        before = known.get(document_id)
        settlement = settle(before, outcome, now)
        if before is None or settlement is None:
            return False
        tally.settle(before.job_id, outcome, settlement)
        del known[document_id]  # a second outcome for it in this batch is too late
        if settlement.entry is None:
            self.removed.append(document_id)
        elif settlement.ending == "indexed":
            self.indexed.append((settlement.entry, outcome.chunks))
        else:
            self.changed.append(settlement.entry)
        return True


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
        kind="delete" if row.state == "deleting" else "index",
        document=document_of(row),
        revision=row.revision,
        token=row.token + 1,
        previous=() if row.indexed_revision is None else row.chunks,
        attempts=row.attempts,
    )
