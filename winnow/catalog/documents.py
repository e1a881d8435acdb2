"""Reading documents: single ones, listings, counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog import collections
from winnow.catalog.missing import document_missing
from winnow.catalog.tables import CONTENTS, DOCUMENTS
from winnow.core.types import Document, DocumentState, Metadata
from winnow.ports import DocumentKey, StoredDocument

CONTENT_COLUMNS = (CONTENTS.c.title, CONTENTS.c.url, CONTENTS.c.format, CONTENTS.c.metadata, CONTENTS.c.text)
SAME_DOCUMENT = (DOCUMENTS.c.collection_uid == CONTENTS.c.collection_uid) & (DOCUMENTS.c.id == CONTENTS.c.id)

_STORED = select(
    DOCUMENTS.c.id,
    DOCUMENTS.c.version,
    DOCUMENTS.c.revision,
    DOCUMENTS.c.state,
    DOCUMENTS.c.content_hash,
    DOCUMENTS.c.n_chunks,
    DOCUMENTS.c.error,
    DOCUMENTS.c.error_code,
    DOCUMENTS.c.source,
    DOCUMENTS.c.updated_at,
    *CONTENT_COLUMNS,
).join_from(DOCUMENTS, CONTENTS, SAME_DOCUMENT)


async def get(connection: AsyncConnection, collection: str, document_id: str) -> StoredDocument:
    """One document that is not being deleted."""
    uid = await collections.uid_of(connection, collection)
    row = (await connection.execute(_visible(uid).where(DOCUMENTS.c.id == document_id))).one_or_none()
    if row is None:
        raise document_missing(collection, document_id)
    return _stored(row)


async def read_rows(
    connection: AsyncConnection, uid: str, *, after: str, limit: int, source: str | None
) -> Sequence[StoredDocument]:
    """The next documents by id, those beyond ``after``."""
    statement = _visible(uid).where(DOCUMENTS.c.id > after).order_by(DOCUMENTS.c.id).limit(limit)
    if source is not None:
        statement = statement.where(DOCUMENTS.c.source == source)
    return [_stored(row) for row in await connection.execute(statement)]


async def metadata_page(
    connection: AsyncConnection, uid: str, *, after: str, limit: int
) -> Sequence[tuple[str, Metadata]]:
    """The next documents by id, those beyond ``after``: ids and metadata only."""
    statement = select(DOCUMENTS.c.id, CONTENTS.c.metadata).join_from(DOCUMENTS, CONTENTS, SAME_DOCUMENT)
    mine = (DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.state != "deleting", DOCUMENTS.c.id > after)
    rows = await connection.execute(statement.where(*mine).order_by(DOCUMENTS.c.id).limit(limit))
    return [(row[0], row[1]) for row in rows]


async def keys(
    connection: AsyncConnection,
    collection: str,
    *,
    after: str,
    limit: int,
    source: str | None,
    state: DocumentState | None,
) -> Sequence[DocumentKey]:
    """Keys by id, those beyond ``after``."""
    uid = await collections.uid_of(connection, collection)
    columns = (DOCUMENTS.c.id, DOCUMENTS.c.state, DOCUMENTS.c.content_hash, DOCUMENTS.c.revision, DOCUMENTS.c.source)
    statement = select(*columns).where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id > after)
    wanted = DOCUMENTS.c.state != "deleting" if state is None else DOCUMENTS.c.state == state
    statement = statement.where(wanted).order_by(DOCUMENTS.c.id).limit(limit)
    if source is not None:
        statement = statement.where(DOCUMENTS.c.source == source)
    return [DocumentKey(*row) for row in await connection.execute(statement)]


def _visible(uid: str) -> Select[Any]:
    return _STORED.where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.state != "deleting")


def _stored(row: Row[Any]) -> StoredDocument:
    return StoredDocument(
        document=document_of(row),
        revision=row.revision,
        state=row.state,
        content_hash=row.content_hash,
        chunks=row.n_chunks,
        error=row.error,
        error_code=row.error_code,
        source=row.source,
        updated_at=row.updated_at,
    )


def document_of(row: Row[Any]) -> Document:
    """The document in a row that has ``id``, ``version`` and ``CONTENT_COLUMNS``."""
    return Document(row.id, row.text, row.format, row.title, row.url, row.metadata, row.version)
