"""The ledger of work: leases, fencing, outcomes.

A document with work has ``due_at``; whoever claims it moves ``due_at`` to the end of the lease, so that the work
comes back by itself if the worker dies. Every claim raises the token, and a commit must bring the newest one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, func, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from retrieval.catalog import entries, jobs
from retrieval.catalog.documents import CONTENT_COLUMNS, SAME_DOCUMENT, document_of
from retrieval.catalog.rules import Entry, Queue, Settlement, holds, settle
from retrieval.catalog.tables import COLLECTIONS, CONTENTS, DOCUMENTS
from retrieval.ports import ChunkKey, Claim, JobFailure, Outcome

_QUEUE_ORDER: Final = (DOCUMENTS.c.priority.desc(), DOCUMENTS.c.submitted_at, DOCUMENTS.c.id)


async def queues(connection: AsyncConnection, now: datetime) -> list[Queue]:
    """Every collection with work that is due, by one look into the index each."""
    head = (
        select(DOCUMENTS.c.id)
        .where(DOCUMENTS.c.collection_uid == COLLECTIONS.c.uid, DOCUMENTS.c.due_at <= now)
        .order_by(*_QUEUE_ORDER)
        .limit(1)
        .correlate(COLLECTIONS)
        .scalar_subquery()
    )
    first = (DOCUMENTS.c.collection_uid == COLLECTIONS.c.uid) & (DOCUMENTS.c.id == head)
    statement = select(COLLECTIONS.c.uid, DOCUMENTS.c.priority, DOCUMENTS.c.submitted_at)
    rows = await connection.execute(statement.join_from(COLLECTIONS, DOCUMENTS, first))
    return [Queue(*row) for row in rows]


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
        .with_for_update(of=DOCUMENTS, skip_locked=True)
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
    for name, tokens in _by_collection(claims).items():
        uid = await _uid(connection, name)
        if uid is None:
            continue
        known = await entries.read(connection, uid, tokens)
        held = [document_id for document_id, token in tokens.items() if holds(known.get(document_id), token, owner, now)]
        for some in entries.slices(held):
            mine = (DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id.in_(some))
            await connection.execute(update(DOCUMENTS).where(*mine).values(due_at=until))
        renewed += len(held)
    return renewed
