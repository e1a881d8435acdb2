"""Rows of collections: the source of ``Collection`` values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from dataclasses import replace as altered
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, and_, delete, func, null, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog.missing import collection_missing
from winnow.catalog.tables import COLLECTIONS, DOCUMENTS, JOBS, REMOVALS
from winnow.core.types import Chunking, Collection, Counts, Index, IndexIdentity

PURGE_BATCH: Final = 2000


async def create(connection: AsyncConnection, collection: Collection, now: datetime) -> Collection:
    """Store the collection unless its name is taken; return what is stored under the name."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    values = {"uid": collection.uid, "name": collection.name, "status": "ready", "created_at": now}
    values |= _replaceable(collection) | indexes(collection) | {"embed_instruct": collection.serving.instruct}
    await connection.execute(dialect.insert(COLLECTIONS).on_conflict_do_nothing(), values)
    return await get(connection, collection.name)


async def get(connection: AsyncConnection, name: str) -> Collection:
    """The collection in service under this name."""
    row = (await connection.execute(select(COLLECTIONS).where(*_in_service(name)))).mappings().one_or_none()
    if row is None:
        raise collection_missing(name)
    return _collection(row)


async def list_with_counts(connection: AsyncConnection, *, name: str | None = None) -> list[tuple[Collection, Counts]]:
    """Collections in service, all or the one of this name, with their counts, in one statement."""
    wanted = COLLECTIONS.c.status == "ready" if name is None else and_(*_in_service(name))
    totals = select(
        DOCUMENTS.c.collection_uid,
        DOCUMENTS.c.state,
        func.count().label("n_documents"),
        func.sum(DOCUMENTS.c.n_chunks).label("n_chunks"),
    ).group_by(DOCUMENTS.c.collection_uid, DOCUMENTS.c.state)
    if name is not None:
        totals = totals.where(DOCUMENTS.c.collection_uid == select(COLLECTIONS.c.uid).where(wanted).scalar_subquery())
    by_state = totals.subquery()
    statement = (
        select(COLLECTIONS, by_state.c.state, by_state.c.n_documents, by_state.c.n_chunks)
        .outerjoin(by_state, by_state.c.collection_uid == COLLECTIONS.c.uid)
        .where(wanted)
        .order_by(COLLECTIONS.c.name)
    )
    found: dict[str, tuple[RowMapping, dict[str, tuple[int, int]]]] = {}
    for row in (await connection.execute(statement)).mappings():
        _, states = found.setdefault(row["uid"], (row, {}))
        if row["state"] is not None:
            states[row["state"]] = row["n_documents"], row["n_chunks"]
    return [(_collection(row), _counts(states)) for row, states in found.values()]


def _counts(states: Mapping[str, tuple[int, int]]) -> Counts:
    visible = [figures for state, figures in states.items() if state != "deleting"]
    return Counts(
        documents=sum(number for number, _ in visible),
        chunks=sum(chunks for _, chunks in visible),
        **{state: number for state, (number, _) in states.items()},
    )


async def get_with_counts(connection: AsyncConnection, name: str) -> tuple[Collection, Counts]:
    """The collection in service under this name, with its counts."""
    found = await list_with_counts(connection, name=name)
    if not found:
        raise collection_missing(name)
    return found[0]


async def list_all(connection: AsyncConnection, *, deleting: bool) -> Sequence[Collection]:
    """Collections by name."""
    status = "deleting" if deleting else "ready"
    statement = select(COLLECTIONS).where(COLLECTIONS.c.status == status)
    rows = await connection.execute(statement.order_by(COLLECTIONS.c.name, COLLECTIONS.c.uid))
    return [_collection(row) for row in rows.mappings()]


async def replace(connection: AsyncConnection, collection: Collection) -> Collection:
    """Replace what may change about the collection of this name."""
    statement = update(COLLECTIONS).where(*_in_service(collection.name)).values(_replaceable(collection))
    if (await connection.execute(statement)).rowcount == 0:
        raise collection_missing(collection.name)
    return await get(connection, collection.name)


async def mark_deleting(connection: AsyncConnection, name: str) -> Collection:
    """Take the collection out of service and its documents out of the queue."""
    uid = await uid_of(connection, name, lock=True)
    await connection.execute(update(COLLECTIONS).where(COLLECTIONS.c.uid == uid).values(status="deleting"))
    waiting = (DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.due_at.is_not(null()))
    await connection.execute(update(DOCUMENTS).where(*waiting).values(due_at=None, lease_owner=None))
    row = (await connection.execute(select(COLLECTIONS).where(COLLECTIONS.c.uid == uid))).mappings().one()
    return _collection(row)


async def purge_some(connection: AsyncConnection, uid: str) -> bool:
    """Remove some documents of a collection that is being deleted, and the collection after the last of them.

    Returns:
        True where documents are left: call again, in another transaction, so that other writers get their turn.
    """
    marked = (COLLECTIONS.c.uid == uid, COLLECTIONS.c.status == "deleting")
    if (await connection.execute(select(COLLECTIONS.c.uid).where(*marked))).one_or_none() is None:
        return False
    some = select(DOCUMENTS.c.id).where(DOCUMENTS.c.collection_uid == uid).limit(PURGE_BATCH)
    statement = delete(DOCUMENTS).where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id.in_(some.scalar_subquery()))
    if (await connection.execute(statement)).rowcount > 0:
        return True
    for table in (JOBS, REMOVALS):
        await connection.execute(delete(table).where(table.c.collection_uid == uid))
    await connection.execute(delete(COLLECTIONS).where(*marked))
    return False


async def find_uid(connection: AsyncConnection, name: str, *, lock: bool = False) -> str | None:
    """The uid of the collection in service under this name, if there is one.

    With ``lock`` what users change in one collection waits for each other (PostgreSQL).
    """
    statement = select(COLLECTIONS.c.uid).where(*_in_service(name))
    if lock:
        statement = statement.with_for_update(key_share=True)
    uid: str | None = await connection.scalar(statement)
    return uid


async def uid_of(connection: AsyncConnection, name: str, *, lock: bool = False) -> str:
    """As ``find_uid``, but raise ``CollectionNotFound`` where there is none."""
    uid = await find_uid(connection, name, lock=lock)
    if uid is None:
        raise collection_missing(name)
    return uid


def _in_service(name: str) -> tuple[Any, ...]:
    return COLLECTIONS.c.name == name, COLLECTIONS.c.status == "ready"


def _replaceable(collection: Collection) -> dict[str, Any]:
    return {
        "chunking": asdict(collection.chunking),
        "fields": dict(collection.fields),
        "rerank_instruct": collection.rerank_instruct,
        "metadata": dict(collection.metadata),
    }


def indexes(collection: Collection) -> dict[str, Any]:
    """The columns that hold a collection's indexes, which only a re-embedding changes."""
    serving, beside = collection.serving, collection.beside
    return {
        "identity": asdict(serving.identity),
        "generation": serving.generation,
        "last_generation": collection.last_generation,
        "other": None if beside is None else _stored(beside),
    }


def _stored(index: Index) -> dict[str, Any]:
    assert index.started_at is not None
    return {
        "generation": index.generation,
        "identity": asdict(index.identity),
        "state": index.state,
        "started_at": index.started_at.isoformat(),
    }


def _collection(row: RowMapping) -> Collection:
    other = row["other"]
    identity = IndexIdentity(**row["identity"])
    serving = Index(row["name"], row["uid"], row["generation"], identity, row["embed_instruct"])
    beside = (
        None
        if other is None
        else altered(
            serving,
            generation=other["generation"],
            identity=IndexIdentity(**other["identity"]),
            state=other["state"],
            started_at=datetime.fromisoformat(other["started_at"]),
        )
    )
    return Collection(
        serving=serving,
        chunking=Chunking(**row["chunking"]),
        fields=row["fields"],
        rerank_instruct=row["rerank_instruct"],
        metadata=row["metadata"],
        status=row["status"],
        created_at=row["created_at"],
        last_generation=row["last_generation"],
        beside=beside,
    )
