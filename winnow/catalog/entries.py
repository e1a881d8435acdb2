"""The rows of the ledger, read and written in bulk: entries, contents, and removals.

A removal remembers a document that was deleted a short while ago. Its revision numbers go on if it comes back, so that
no point id is ever used for two contents, and its points are removed a second time, after the last write of a worker
that was stalled when it was deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import Table, Update, bindparam, delete, insert, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog.rules.entries import Entry
from winnow.catalog.tables import CONTENTS, DOCUMENTS, REMOVALS
from winnow.core.types import Document
from winnow.ports import ChunkKey

# rows of one statement: below the limits for parameters (32,766 and 32,767), and few enough that the event loop is not
# held up while their values are converted
SLICE: Final = 1000

_Item = TypeVar("_Item")

_NAMES: Final = tuple(field.name for field in fields(Entry))
_COLUMNS: Final = tuple(DOCUMENTS.c[name] for name in _NAMES)
_CONTENT_NAMES: Final = ("title", "url", "format", "metadata", "text")

_CHANGING: Final = _NAMES[1:]  # all but the id


def _update(table: Table, names: Sequence[str]) -> Update:
    this = (table.c.collection_uid == bindparam("of_collection"), table.c.id == bindparam("of_id"))
    return update(table).where(*this).values({name: bindparam(name) for name in names})


_UPDATE: Final = _update(DOCUMENTS, _CHANGING)
_UPDATE_WITH_CHUNKS: Final = _update(DOCUMENTS, (*_CHANGING, "chunks"))
_UPDATE_CONTENT: Final = _update(CONTENTS, _CONTENT_NAMES)


async def read(connection: AsyncConnection, uid: str, document_ids: Iterable[str]) -> dict[str, Entry]:
    """Entries by document id, locked until the transaction ends (PostgreSQL; always in the order of ids)."""
    found: dict[str, Entry] = {}
    for some in _slices(sorted(document_ids)):
        statement = select(*_COLUMNS).where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id.in_(some))
        rows = await connection.execute(statement.order_by(DOCUMENTS.c.id).with_for_update())
        found.update((row[0], Entry(*row)) for row in rows)
    return found


async def revisions(connection: AsyncConnection, table: Table, uid: str, document_ids: Iterable[str]) -> dict[str, int]:
    """The revisions that ``DOCUMENTS`` or ``REMOVALS`` has of these documents; unknown ones are left out."""
    found: dict[str, int] = {}
    for some in _slices(sorted(document_ids)):
        statement = select(table.c.id, table.c.revision).where(table.c.collection_uid == uid, table.c.id.in_(some))
        found.update((row.id, row.revision) for row in await connection.execute(statement))
    return found


async def waiting_for(connection: AsyncConnection, uid: str, job_id: str, *, after: str) -> list[str]:
    """The next ids, beyond ``after``, of documents with work that a job waits for; at most ``SLICE``."""
    waiting = (DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.due_at.is_not(null()), DOCUMENTS.c.job_id == job_id)
    statement = select(DOCUMENTS.c.id).where(*waiting, DOCUMENTS.c.state != "indexed", DOCUMENTS.c.id > after)
    return list(await connection.scalars(statement.order_by(DOCUMENTS.c.id).limit(SLICE)))


async def add(
    connection: AsyncConnection, uid: str, entries: Sequence[Entry], documents: Mapping[str, Document]
) -> None:
    """Insert new entries and their contents."""
    blank = {"collection_uid": uid, "chunks": ()}
    for some in _slices(entries):
        await connection.execute(
            insert(DOCUMENTS), [blank | {name: getattr(entry, name) for name in _NAMES} for entry in some]
        )
        contents = [{"collection_uid": uid, "id": entry.id} | _content(documents[entry.id]) for entry in some]
        await connection.execute(insert(CONTENTS), contents)


async def change(connection: AsyncConnection, uid: str, entries: Sequence[Entry]) -> None:
    """Write entries back; contents and chunks stay as they are."""
    for some in _slices(entries):
        await connection.execute(_UPDATE, [_changed(uid, entry) for entry in some])


async def change_with_chunks(
    connection: AsyncConnection, uid: str, entries: Sequence[tuple[Entry, tuple[ChunkKey, ...]]]
) -> None:
    """Write back entries that are indexed now, with their chunks."""
    for some in _slices(entries):
        rows = [_changed(uid, entry) | {"chunks": chunks} for entry, chunks in some]
        await connection.execute(_UPDATE_WITH_CHUNKS, rows)


async def change_content(
    connection: AsyncConnection, uid: str, entries: Sequence[Entry], documents: Mapping[str, Document]
) -> None:
    """Replace the contents of these entries."""
    for some in _slices(entries):
        rows = [_key(uid, entry) | _content(documents[entry.id]) for entry in some]
        await connection.execute(_UPDATE_CONTENT, rows)


async def remove(connection: AsyncConnection, uid: str, document_ids: Sequence[str]) -> None:
    """Delete entries; their contents go with them."""
    for some in _slices(document_ids):
        await connection.execute(delete(DOCUMENTS).where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id.in_(some)))


async def add_removals(connection: AsyncConnection, uid: str, removed: Mapping[str, int], due_at: datetime) -> None:
    """Remember documents whose points are gone, given as id and last revision."""
    if not removed:
        return
    before = await revisions(connection, REMOVALS, uid, removed)
    await remove_removals(connection, uid, list(before))
    rows = [
        {"collection_uid": uid, "id": id_, "revision": max(revision, before.get(id_, 0)), "due_at": due_at}
        for id_, revision in removed.items()
    ]
    for some in _slices(rows):
        await connection.execute(insert(REMOVALS), list(some))


async def remove_removals(
    connection: AsyncConnection, uid: str, document_ids: Sequence[str], *, until: datetime | None = None
) -> None:
    """Forget removals: all of these documents, or those that were due before ``until``."""
    for some in _slices(document_ids):
        statement = delete(REMOVALS).where(REMOVALS.c.collection_uid == uid, REMOVALS.c.id.in_(some))
        await connection.execute(statement if until is None else statement.where(REMOVALS.c.due_at <= until))


def _slices(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for begin in range(0, len(items), SLICE):
        yield items[begin : begin + SLICE]


def _key(uid: str, entry: Entry) -> dict[str, str]:
    return {"of_collection": uid, "of_id": entry.id}


def _changed(uid: str, entry: Entry) -> dict[str, Any]:
    return _key(uid, entry) | {name: getattr(entry, name) for name in _CHANGING}


def _content(document: Document) -> dict[str, Any]:
    return {name: getattr(document, name) for name in _CONTENT_NAMES} | {"metadata": dict(document.metadata)}
