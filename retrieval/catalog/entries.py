"""Ledger entries as rows: read many, write many, always in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from retrieval.catalog.rules import Entry
from retrieval.catalog.tables import CONTENTS, DOCUMENTS
from retrieval.ports import ChunkKey
from retrieval.types import Document

# parameters of one statement: far below the limits of both databases (32,766 and 32,767)
IDS_PER_STATEMENT: Final = 1000

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


def entry_values(entry: Entry) -> dict[str, Any]:
    """The entry's fields by column name."""
    return {name: getattr(entry, name) for name in _NAMES}


async def read(connection: AsyncConnection, uid: str, document_ids: Iterable[str]) -> dict[str, Entry]:
    """Entries by document id, locked until the transaction ends (PostgreSQL; always in the order of ids)."""
    found: dict[str, Entry] = {}
    for some in _slices(sorted(document_ids)):
        statement = select(*_COLUMNS).where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id.in_(some))
        rows = await connection.execute(statement.order_by(DOCUMENTS.c.id).with_for_update())
        found.update((row[0], Entry(*row)) for row in rows)
    return found


async def add(
    connection: AsyncConnection, uid: str, entries: Sequence[Entry], documents: Mapping[str, Document]
) -> None:
    """Insert new entries and their contents."""
    if not entries:
        return
    blank = {"collection_uid": uid, "chunks": ()}
    await connection.execute(insert(DOCUMENTS), [blank | entry_values(entry) for entry in entries])
    contents = [{"collection_uid": uid, "id": entry.id} | _content(documents[entry.id]) for entry in entries]
    await connection.execute(insert(CONTENTS), contents)


async def change(connection: AsyncConnection, uid: str, entries: Sequence[Entry]) -> None:
    """Write entries back; contents and chunks stay as they are."""
    if entries:
        await connection.execute(_UPDATE, [_keyed(uid, entry) for entry in entries])


async def change_with_chunks(
    connection: AsyncConnection, uid: str, entries: Sequence[tuple[Entry, tuple[ChunkKey, ...]]]
) -> None:
    """Write back entries that are indexed now, with their chunks."""
    if entries:
        rows = [_keyed(uid, entry) | {"chunks": chunks} for entry, chunks in entries]
        await connection.execute(_UPDATE_WITH_CHUNKS, rows)


async def change_content(
    connection: AsyncConnection, uid: str, entries: Sequence[Entry], documents: Mapping[str, Document]
) -> None:
    """Replace the contents of these entries."""
    if entries:
        rows = [{"of_collection": uid, "of_id": entry.id} | _content(documents[entry.id]) for entry in entries]
        await connection.execute(_UPDATE_CONTENT, rows)


async def remove(connection: AsyncConnection, uid: str, document_ids: Sequence[str]) -> None:
    """Delete entries; their contents go with them."""
    for some in _slices(document_ids):
        await connection.execute(delete(DOCUMENTS).where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id.in_(some)))


def _slices(document_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(document_ids), IDS_PER_STATEMENT):
        yield document_ids[begin : begin + IDS_PER_STATEMENT]


def _keyed(uid: str, entry: Entry) -> dict[str, Any]:
    values = entry_values(entry)
    return {"of_collection": uid, "of_id": values.pop("id")} | values


def _content(document: Document) -> dict[str, Any]:
    return {name: getattr(document, name) for name in _CONTENT_NAMES} | {"metadata": dict(document.metadata)}
