"""Ledger entries as rows: read many, write many, always in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, TypeVar

from sqlalchemy import bindparam, delete, insert, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog.rules.entries import Entry
from winnow.catalog.tables import CONTENTS, DOCUMENTS
from winnow.core.types import Document
from winnow.ports import ChunkKey

# rows of one statement: below what both databases take as parameters (32,766 and 32,767), and few enough
# that the event loop is not held up while their values are made ready
SLICE: Final = 1000

_Item = TypeVar("_Item")

_NAMES: Final = tuple(field.name for field in fields(Entry))
_COLUMNS: Final = tuple(DOCUMENTS.c[name] for name in _NAMES)
_CONTENT_NAMES: Final = ("title", "url", "format", "metadata", "text")

_THIS_DOCUMENT: Final = (
    DOCUMENTS.c.collection_uid == bindparam("of_collection"),
    DOCUMENTS.c.id == bindparam("of_id"),
)
_THIS_CONTENT: Final = (CONTENTS.c.collection_uid == bindparam("of_collection"), CONTENTS.c.id == bindparam("of_id"))
_CHANGING: Final[dict[str, Any]] = {name: bindparam(name) for name in _NAMES if name != "id"}
_UPDATE: Final = update(DOCUMENTS).where(*_THIS_DOCUMENT).values(_CHANGING)
_UPDATE_WITH_CHUNKS: Final = (
    update(DOCUMENTS).where(*_THIS_DOCUMENT).values(_CHANGING | {"chunks": bindparam("chunks")})
)
_UPDATE_CONTENT: Final = (
    update(CONTENTS).where(*_THIS_CONTENT).values({name: bindparam(name) for name in _CONTENT_NAMES})
)


async def read(connection: AsyncConnection, uid: str, document_ids: Iterable[str]) -> dict[str, Entry]:
    """Entries by document id, locked until the transaction ends (PostgreSQL; always in the order of ids)."""
    found: dict[str, Entry] = {}
    for some in slices(sorted(document_ids)):
        statement = select(*_COLUMNS).where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id.in_(some))
        rows = await connection.execute(statement.order_by(DOCUMENTS.c.id).with_for_update())
        found.update((row[0], Entry(*row)) for row in rows)
    return found


async def revisions(connection: AsyncConnection, uid: str, document_ids: Iterable[str]) -> dict[str, int]:
    """The newest revision of these documents, as far as there are any."""
    found: dict[str, int] = {}
    for some in slices(sorted(document_ids)):
        statement = select(DOCUMENTS.c.id, DOCUMENTS.c.revision)
        rows = await connection.execute(statement.where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id.in_(some)))
        found.update((row.id, row.revision) for row in rows)
    return found


async def waiting_for(connection: AsyncConnection, uid: str, job_id: str, *, after: str) -> list[str]:
    """Ids of some of the documents with work that a job waits for, those beyond ``after``, in order."""
    waiting = (DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.due_at.is_not(null()), DOCUMENTS.c.job_id == job_id)
    statement = select(DOCUMENTS.c.id).where(*waiting, DOCUMENTS.c.state != "indexed", DOCUMENTS.c.id > after)
    return list(await connection.scalars(statement.order_by(DOCUMENTS.c.id).limit(SLICE)))


async def add(
    connection: AsyncConnection, uid: str, entries: Sequence[Entry], documents: Mapping[str, Document]
) -> None:
    """Insert new entries and their contents."""
    blank = {"collection_uid": uid, "chunks": ()}
    for some in slices(entries):
        await connection.execute(
            insert(DOCUMENTS), [blank | {name: getattr(entry, name) for name in _NAMES} for entry in some]
        )
        contents = [{"collection_uid": uid, "id": entry.id} | _content(documents[entry.id]) for entry in some]
        await connection.execute(insert(CONTENTS), contents)


async def change(connection: AsyncConnection, uid: str, entries: Sequence[Entry]) -> None:
    """Write entries back; contents and chunks stay as they are."""
    for some in slices(entries):
        await connection.execute(_UPDATE, [_changed(uid, entry) for entry in some])


async def change_with_chunks(
    connection: AsyncConnection, uid: str, entries: Sequence[tuple[Entry, tuple[ChunkKey, ...]]]
) -> None:
    """Write back entries that are indexed now, with their chunks."""
    for some in slices(entries):
        rows = [_changed(uid, entry) | {"chunks": chunks} for entry, chunks in some]
        await connection.execute(_UPDATE_WITH_CHUNKS, rows)


async def change_content(
    connection: AsyncConnection, uid: str, entries: Sequence[Entry], documents: Mapping[str, Document]
) -> None:
    """Replace the contents of these entries."""
    for some in slices(entries):
        rows = [_key(uid, entry) | _content(documents[entry.id]) for entry in some]
        await connection.execute(_UPDATE_CONTENT, rows)


async def remove(connection: AsyncConnection, uid: str, document_ids: Sequence[str]) -> None:
    """Delete entries; their contents go with them."""
    for some in slices(document_ids):
        await connection.execute(delete(DOCUMENTS).where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id.in_(some)))


def slices(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """Parts of a size that one statement takes."""
    for begin in range(0, len(items), SLICE):
        yield items[begin : begin + SLICE]


def _key(uid: str, entry: Entry) -> dict[str, str]:
    return {"of_collection": uid, "of_id": entry.id}


def _changed(uid: str, entry: Entry) -> dict[str, Any]:
    return _key(uid, entry) | {name: getattr(entry, name) for name in _CHANGING}


def _content(document: Document) -> dict[str, Any]:
    return {name: getattr(document, name) for name in _CONTENT_NAMES} | {"metadata": dict(document.metadata)}
