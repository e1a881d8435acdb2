"""Collections in SQL: their rows, their pair of indexes, their counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, RowMapping, and_, delete, exists, func, null, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog import reembedding
from winnow.catalog.bulk import insert_missing
from winnow.catalog.engine import Repository, allow_long
from winnow.catalog.rules.index_pair import begun, switched
from winnow.catalog.tables import COLLECTIONS, DOCUMENT_COUNTS, DOCUMENTS, JOBS, REMOVALS
from winnow.core.acl import AccessRules
from winnow.core.calibration import Calibration
from winnow.core.errors import VersionConflict
from winnow.core.missing import missing_collection
from winnow.core.rebuild import Rebuild
from winnow.core.rules import NO_RULES, RuleSet, read_rules, replaced_rules, stored_rules
from winnow.core.types import Chunking, Collection, Counts, Index, IndexIdentity

PURGE_BATCH: Final = 2000
_BESIDE: Final = ("generation", "identity", "state", "started_at")  # as JSON, ``started_at`` in ISO format


class SqlCollections(Repository):
    """The port ``CollectionCatalog`` in SQL."""

    async def create(self, collection: Collection) -> Collection:
        values: dict[str, Any] = {"uid": collection.uid, "name": collection.name, "status": "ready"}
        values |= _replaceable(collection) | _indexes(collection)
        values |= {"embed_instruct": collection.serving.instruct, "awaits_model": collection.awaits_model}
        async with self.database.write() as connection:
            values["created_at"] = collection.created_at or self.clock()
            await connection.execute(insert_missing(connection, COLLECTIONS), values)
            return await collection_of(connection, collection.name)

    async def get(self, name: str) -> Collection:
        async with self.database.read() as connection:
            return await collection_of(connection, name)

    async def get_with_counts(self, name: str) -> tuple[Collection, Counts]:
        async with self.database.read() as connection:
            return (await count_documents(connection, name))[0]

    async def list(self, *, deleting: bool = False) -> Sequence[Collection]:
        statement = select(COLLECTIONS).where(COLLECTIONS.c.status == ("deleting" if deleting else "ready"))
        async with self.database.read() as connection:
            rows = await connection.execute(statement.order_by(COLLECTIONS.c.name, COLLECTIONS.c.uid))
            return [_collection(row) for row in rows.mappings()]

    async def list_with_counts(self) -> Sequence[tuple[Collection, Counts]]:
        async with self.database.read() as connection:
            return await count_documents(connection)

    async def update(self, collection: Collection) -> Collection:
        statement = update(COLLECTIONS).where(*_in_service(collection.name)).values(_replaceable(collection))
        async with self.database.write() as connection:
            if (await connection.execute(statement)).rowcount == 0:
                raise missing_collection(collection.name)
            return await collection_of(connection, collection.name)

    async def replace_rules(self, name: str, rules: RuleSet, *, expected: int | None = None) -> Collection:
        async with self.database.write() as connection:
            uid = await uid_of(connection, name, lock=True)
            known = (await collection_of(connection, name)).rules
            if expected is not None and expected != known.version:
                raise VersionConflict(
                    f"the rules of collection {name!r} are at version {known.version}, not {expected}: read them again"
                )
            stored = stored_rules(replaced_rules(known, rules))
            await connection.execute(update(COLLECTIONS).where(COLLECTIONS.c.uid == uid).values(rules=stored))
            return await collection_of(connection, name)

    async def mark_access(self, name: str) -> Collection:
        statement = update(COLLECTIONS).where(*_in_service(name)).values(access_in_use=true())
        async with self.database.write() as connection:
            await connection.execute(statement)
            return await collection_of(connection, name)

    async def settle_model(self, collection: Collection) -> Collection:
        async with self.database.write() as connection:
            uid = await uid_of(connection, collection.name, lock=True)
            waiting = (COLLECTIONS.c.uid == uid, COLLECTIONS.c.uid == collection.uid, COLLECTIONS.c.awaits_model)
            empty = ~exists().where(DOCUMENTS.c.collection_uid == uid)
            values = {"identity": collection.serving.identity, "chunking": collection.chunking, "awaits_model": False}
            await connection.execute(update(COLLECTIONS).where(*waiting, empty).values(values))
            await connection.execute(update(COLLECTIONS).where(*waiting).values(awaits_model=False))
            return await collection_of(connection, collection.name)

    async def mark_deleting(self, name: str) -> Collection:
        async with self.database.write() as connection:
            await allow_long(connection)
            uid = await uid_of(connection, name, lock=True)
            await connection.execute(update(COLLECTIONS).where(COLLECTIONS.c.uid == uid).values(status="deleting"))
            waiting = (DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.due_at.is_not(null()))
            await connection.execute(update(DOCUMENTS).where(*waiting).values(due_at=None, lease_owner=None))
            row = (await connection.execute(select(COLLECTIONS).where(COLLECTIONS.c.uid == uid))).mappings().one()
            return _collection(row)

    async def purge(self, uid: str) -> None:
        # in several transactions: a large collection must not keep other writers waiting
        more = True
        while more:
            async with self.database.write() as connection:
                more = await _purge_some(connection, uid)

    async def begin_reembed(self, name: str, identity: IndexIdentity) -> Collection:
        async with self.database.write() as connection:
            await allow_long(connection)
            uid = await uid_of(connection, name, lock=True)
            collection = begun(await collection_of(connection, name), identity, self.clock())
            await _write_indexes(connection, collection)
            # documents that failed in an earlier attempt are tried again
            failed = update(DOCUMENTS).where(*_indexed(uid), DOCUMENTS.c.error.is_not(null()))
            await connection.execute(failed.values(error=None, error_code=None))
            return collection

    async def switch_index(self, name: str, *, force: bool = False) -> Collection:
        # both indexes are in one row: no search sees the number of one and the identity of the other
        async with self.database.write() as connection:
            await allow_long(connection)
            await uid_of(connection, name, lock=True)
            collection = await collection_of(connection, name)
            lacking = 0 if force else (await reembedding.progress(connection, collection)).lacking
            collection = switched(collection, lacking=lacking)
            await _write_indexes(connection, collection)
            return collection

    async def clear_beside(self, name: str) -> Collection:
        async with self.database.write() as connection:
            await allow_long(connection)
            uid = await uid_of(connection, name, lock=True)
            await connection.execute(update(COLLECTIONS).where(COLLECTIONS.c.uid == uid).values(other=null()))
            waiting = update(DOCUMENTS).where(*_indexed(uid), DOCUMENTS.c.due_at.is_not(null()))
            await connection.execute(waiting.values(due_at=None, lease_owner=None))
            return await collection_of(connection, name)


async def find_collection(connection: AsyncConnection, name: str) -> Collection | None:
    """The collection in service under this name, if there is one."""
    row = (await connection.execute(select(COLLECTIONS).where(*_in_service(name)))).mappings().one_or_none()
    return None if row is None else _collection(row)


async def collection_of(connection: AsyncConnection, name: str) -> Collection:
    """As ``find_collection``, but raise ``CollectionNotFound`` where there is none."""
    collection = await find_collection(connection, name)
    if collection is None:
        raise missing_collection(name)
    return collection


async def uid_of(connection: AsyncConnection, name: str, *, lock: bool = False) -> str:
    """The uid of the collection in service under this name; raises ``CollectionNotFound`` where there is none.

    With ``lock``, requests that change the same collection wait for each other (PostgreSQL).
    """
    statement = select(COLLECTIONS.c.uid).where(*_in_service(name))
    uid: str | None = await connection.scalar(statement.with_for_update(key_share=True) if lock else statement)
    if uid is None:
        raise missing_collection(name)
    return uid


async def count_documents(connection: AsyncConnection, name: str | None = None) -> list[tuple[Collection, Counts]]:
    """Collections in service by name with their counts, in one statement: all of them, or the one of this name.

    Raises:
        CollectionNotFound: a name is given, and no collection in service has it.
    """
    wanted = COLLECTIONS.c.status == "ready" if name is None else and_(*_in_service(name))
    counts = DOCUMENT_COUNTS.c
    sums = [func.sum(each).cast(BigInteger).label(f"n_{each.name}") for each in (counts.documents, counts.chunks)]
    statement = (
        select(COLLECTIONS, counts.state, *sums)
        .outerjoin(DOCUMENT_COUNTS, counts.collection_uid == COLLECTIONS.c.uid)
        .where(wanted)
        .group_by(COLLECTIONS.c.uid, counts.state)
        .order_by(COLLECTIONS.c.name)
    )
    found: dict[str, tuple[RowMapping, dict[str, tuple[int, int]]]] = {}
    for row in (await connection.execute(statement)).mappings():
        _, states = found.setdefault(row["uid"], (row, {}))
        if row["state"] is not None:
            states[row["state"]] = row["n_documents"], row["n_chunks"]
    if name is not None and not found:
        raise missing_collection(name)
    return [(_collection(row), sum_states(states)) for row, states in found.values()]


def sum_states(states: Mapping[str, tuple[int, int]]) -> Counts:
    """The counts of documents and chunks, from those by state."""
    visible = [figures for state, figures in states.items() if state != "deleting"]
    return Counts(
        documents=sum(number for number, _ in visible),
        chunks=sum(chunks for _, chunks in visible),
        **{state: number for state, (number, _) in states.items()},
    )


async def _purge_some(connection: AsyncConnection, uid: str) -> bool:
    """Remove some documents of a collection marked as deleting, or its own row after the last of them.

    Returns:
        Whether documents may be left.
    """
    marked = (COLLECTIONS.c.uid == uid, COLLECTIONS.c.status == "deleting")
    if (await connection.execute(select(COLLECTIONS.c.uid).where(*marked))).one_or_none() is None:
        return False
    some = select(DOCUMENTS.c.id).where(DOCUMENTS.c.collection_uid == uid).limit(PURGE_BATCH)
    statement = delete(DOCUMENTS).where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id.in_(some.scalar_subquery()))
    if (await connection.execute(statement)).rowcount > 0:
        return True
    for table in (JOBS, REMOVALS, DOCUMENT_COUNTS):
        await connection.execute(delete(table).where(table.c.collection_uid == uid))
    await connection.execute(delete(COLLECTIONS).where(*marked))
    return False


async def _write_indexes(connection: AsyncConnection, collection: Collection) -> None:
    statement = update(COLLECTIONS).where(COLLECTIONS.c.uid == collection.uid)
    await connection.execute(statement.values(_indexes(collection)))


def _in_service(name: str) -> tuple[Any, ...]:
    return COLLECTIONS.c.name == name, COLLECTIONS.c.status == "ready"


def _indexed(uid: str) -> tuple[Any, ...]:
    return DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.state == "indexed"


def _replaceable(collection: Collection) -> dict[str, Any]:
    return {
        "chunking": collection.chunking,
        "fields": dict(collection.fields),
        "rerank_instruct": collection.rerank_instruct,
        "metadata": dict(collection.metadata),
        "acl_default": collection.access.default,
        "calibration": None if collection.calibration is None else collection.calibration.as_json(),
    }


def _indexes(collection: Collection) -> dict[str, Any]:
    """The columns that hold a collection's indexes, which only a re-embedding changes."""
    serving, beside = collection.serving, collection.beside
    return {
        "identity": serving.identity,
        "generation": serving.generation,
        "last_generation": collection.last_generation,
        "other": None if beside is None else {name: getattr(beside, name) for name in _BESIDE},
    }


def _collection(row: RowMapping) -> Collection:
    serving = Index(row["name"], row["uid"], row["generation"], IndexIdentity(**row["identity"]), row["embed_instruct"])
    return Collection(
        serving=serving,
        chunking=Chunking(**row["chunking"]),
        fields=row["fields"],
        rerank_instruct=row["rerank_instruct"],
        metadata=row["metadata"],
        status=row["status"],
        created_at=row["created_at"],
        last_generation=row["last_generation"],
        calibration=None if row["calibration"] is None else Calibration(**row["calibration"]),
        access=AccessRules(row["acl_default"], row["access_in_use"]),
        awaits_model=row["awaits_model"],
        rebuild=None if row["rebuild"] is None else _rebuild(**row["rebuild"]),
        rules=NO_RULES if row["rules"] is None else read_rules(row["rules"]),
        beside=None if row["other"] is None else _beside(serving, **row["other"]),
    )


def _rebuild(*, since: str, **others: Any) -> Rebuild:
    return Rebuild(since=datetime.fromisoformat(since), **others)


def _beside(serving: Index, *, identity: dict[str, Any], started_at: str, **others: Any) -> Index:
    return replace(serving, identity=IndexIdentity(**identity), started_at=datetime.fromisoformat(started_at), **others)
