"""The rows of the ledger, read and written in bulk: entries, contents, and removals.

A removal remembers a document that was deleted a short while ago. Its revision numbers go on if it comes back, so that
no point id is ever used for two contents, and its points are removed a second time, after the last write of a worker
that was stalled when it was deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table, delete, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog.bulk import SLICE, among, fetch_rows, insert_rows, keys, slices, update_rows
from winnow.catalog.rules.entries import Entry
from winnow.catalog.tables import CONTENTS, DOCUMENTS, REMOVALS
from winnow.core.acl import wire_acl
from winnow.core.documents import hash_text
from winnow.core.marks import wire_marks, wire_warnings
from winnow.core.types import Document
from winnow.ports import ChunkKey

_NAMES: Final = tuple(field.name for field in fields(Entry))
_COLUMNS: Final = tuple(DOCUMENTS.c[name] for name in _NAMES)


async def read(connection: AsyncConnection, uid: str, document_ids: Iterable[str]) -> dict[str, Entry]:
    """Entries by document id, locked until the transaction ends (PostgreSQL; always in the order of ids)."""
    found: dict[str, Entry] = {}
    for some in slices(sorted(document_ids)):
        rows = await fetch_rows(connection, _COLUMNS, uid, some, lock=True)
        found.update((row[0], Entry(*row)) for row in rows)
    return found


async def revisions(connection: AsyncConnection, table: Table, uid: str, document_ids: Iterable[str]) -> dict[str, int]:
    """The revisions that ``DOCUMENTS`` or ``REMOVALS`` has of these documents; unknown ones are left out."""
    found: dict[str, int] = {}
    for some in slices(sorted(document_ids)):
        rows = await fetch_rows(connection, (table.c.id, table.c.revision), uid, some)
        found.update((row.id, row.revision) for row in rows)
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
    for some in slices(entries):
        await insert_rows(connection, DOCUMENTS, [blank | _entry(uid, entry) for entry in some])
        await insert_rows(connection, CONTENTS, [_content(uid, documents[entry.id]) for entry in some])


async def change(connection: AsyncConnection, uid: str, entries: Sequence[Entry]) -> None:
    """Write entries back; contents and chunks stay as they are."""
    for some in slices(entries):
        await update_rows(connection, DOCUMENTS, [_entry(uid, entry) for entry in some])


async def change_with_chunks(
    connection: AsyncConnection, uid: str, entries: Sequence[tuple[Entry, tuple[ChunkKey, ...]]]
) -> None:
    """Write back entries that are indexed now, with their chunks."""
    for some in slices(entries):
        await update_rows(connection, DOCUMENTS, [_entry(uid, entry) | {"chunks": chunks} for entry, chunks in some])


async def change_content(
    connection: AsyncConnection, uid: str, entries: Sequence[Entry], documents: Mapping[str, Document]
) -> None:
    """Replace the contents of these entries."""
    for some in slices(entries):
        await update_rows(connection, CONTENTS, [_content(uid, documents[entry.id]) for entry in some])


async def remove(connection: AsyncConnection, uid: str, document_ids: Sequence[str]) -> None:
    """Delete entries; their contents go with them."""
    for some in slices(document_ids):
        statement = delete(DOCUMENTS).where(*among(connection, DOCUMENTS))
        await connection.execute(statement, keys(connection, uid, some))


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
    for some in slices(rows):
        await insert_rows(connection, REMOVALS, some)


async def remove_removals(
    connection: AsyncConnection, uid: str, document_ids: Sequence[str], *, until: datetime | None = None
) -> None:
    """Forget removals: all of these documents, or those that were due before ``until``."""
    for some in slices(document_ids):
        statement = delete(REMOVALS).where(*among(connection, REMOVALS))
        if until is not None:
            statement = statement.where(REMOVALS.c.due_at <= until)
        await connection.execute(statement, keys(connection, uid, some))


def _entry(uid: str, entry: Entry) -> dict[str, Any]:
    return {"collection_uid": uid, **{name: getattr(entry, name) for name in _NAMES}}


def _content(uid: str, document: Document) -> dict[str, Any]:
    return {
        "collection_uid": uid,
        "id": document.id,
        "title": document.title,
        "url": document.url,
        "format": document.source_format,
        "metadata": dict(document.metadata),
        "text": document.text,
        "marks": wire_marks(document.marks) or None,
        "warnings": wire_warnings(document.warnings) or None,
        "canonical": document.canonical,
        "text_hash": hash_text(document),
        "acl": wire_acl(document.acl),
    }
