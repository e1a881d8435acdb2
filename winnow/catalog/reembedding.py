"""The statements of a re-embedding: the pair of indexes in a collection's row, and which documents are in both."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog import collections
from winnow.catalog.rules.entries import REEMBED_PRIORITY
from winnow.catalog.rules.index_pair import FAILURES_NAMED, begun, switched
from winnow.catalog.tables import COLLECTIONS, DOCUMENTS
from winnow.core.types import Collection, IndexIdentity
from winnow.ports import JobFailure, ReembedProgress


async def begin(connection: AsyncConnection, name: str, identity: IndexIdentity, now: datetime) -> Collection:
    """Give the collection a second index; what failed in an earlier attempt is tried again."""
    uid = await collections.uid_of(connection, name, lock=True)
    collection = await _write(connection, begun(await collections.get(connection, name), identity, now))
    forgiven = (DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.state == "indexed", DOCUMENTS.c.error.is_not(null()))
    await connection.execute(update(DOCUMENTS).where(*forgiven).values(error=None, error_code=None))
    return collection


async def enqueue(connection: AsyncConnection, name: str, *, limit: int, now: datetime) -> int:
    """Queue indexed documents without pending work that the second index lacks, by id."""
    collection = await collections.get(connection, name)
    if collection.newer_generation is None:
        return 0
    waiting = (
        DOCUMENTS.c.collection_uid == collection.uid,
        DOCUMENTS.c.state == "indexed",
        DOCUMENTS.c.due_at.is_(None),
    )
    behind = (*waiting, _is_behind(collection.newer_generation), DOCUMENTS.c.error.is_(None))
    some = select(DOCUMENTS.c.id).where(*behind).order_by(DOCUMENTS.c.id).limit(limit)
    work = {"due_at": now, "submitted_at": now, "priority": REEMBED_PRIORITY, "attempts": 0, "lease_owner": None}
    statement = update(DOCUMENTS).where(*waiting, DOCUMENTS.c.id.in_(some.scalar_subquery())).values(work)
    return (await connection.execute(statement)).rowcount


async def progress(connection: AsyncConnection, name: str) -> ReembedProgress:
    """Count what both indexes hold."""
    collection = await collections.get(connection, name)
    newer = collection.newer_generation
    if newer is None:
        return ReembedProgress(0, 0, 0)
    mine = (DOCUMENTS.c.collection_uid == collection.uid, DOCUMENTS.c.indexed_revision.is_not(null()))
    found = (*mine, DOCUMENTS.c.state != "deleting")
    lost = and_(_is_behind(newer), DOCUMENTS.c.error.is_not(null()), DOCUMENTS.c.due_at.is_(None))
    counted = (DOCUMENTS.c.built == newer, _is_lacking(newer), and_(_is_lacking(newer), lost))
    row = (await connection.execute(select(func.count(), *map(_count, counted)).where(*found))).one()
    columns = (DOCUMENTS.c.id, DOCUMENTS.c.error_code, DOCUMENTS.c.error)
    failures = await connection.execute(
        select(*columns).where(*found, lost).order_by(DOCUMENTS.c.id).limit(FAILURES_NAMED)
    )
    return ReembedProgress(row[0], row[1], row[2], row[3], tuple(JobFailure(*each) for each in failures))


async def switch_index(connection: AsyncConnection, name: str, *, force: bool) -> Collection:
    """Exchange the indexes in one row, so that no search ever sees the number of one and the identity of the other."""
    await collections.uid_of(connection, name, lock=True)
    collection = await collections.get(connection, name)
    lacking = 0 if force else (await progress(connection, name)).lacking
    return await _write(connection, switched(collection, lacking=lacking))


async def clear(connection: AsyncConnection, name: str) -> Collection:
    """Forget the second index and the work on it."""
    uid = await collections.uid_of(connection, name, lock=True)
    await connection.execute(update(COLLECTIONS).where(COLLECTIONS.c.uid == uid).values(other=null()))
    waiting = (DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.state == "indexed", DOCUMENTS.c.due_at.is_not(null()))
    await connection.execute(update(DOCUMENTS).where(*waiting).values(due_at=None, lease_owner=None))
    return await collections.get(connection, name)


async def newer_generation(connection: AsyncConnection, uid: str) -> int | None:
    """As ``Collection.newer_generation``."""
    statement = select(COLLECTIONS.c.generation, COLLECTIONS.c.other).where(COLLECTIONS.c.uid == uid)
    row = (await connection.execute(statement)).one()
    return None if row.other is None else max(row.generation, int(row.other["generation"]))


async def _write(connection: AsyncConnection, collection: Collection) -> Collection:
    values = collections.indexes(collection)
    await connection.execute(update(COLLECTIONS).where(COLLECTIONS.c.uid == collection.uid).values(values))
    return collection


def _is_behind(newer: int) -> ColumnElement[bool]:
    return or_(DOCUMENTS.c.built.is_(None), DOCUMENTS.c.built != newer)


def _is_lacking(newer: int) -> ColumnElement[bool]:
    """As ``rules.lacks``."""
    return and_(DOCUMENTS.c.state.in_(("indexed", "pending")), _is_behind(newer))


def _count(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
