"""Documents in SQL: submitted, deleted, read one by one or in listings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, Select, select

from winnow.catalog import entries
from winnow.catalog.collections import count_documents, uid_of
from winnow.catalog.engine import Repository
from winnow.catalog.jobs import carry_out, new_order
from winnow.catalog.rules.submissions import plan_submission, plan_tombstones, sort_batch
from winnow.catalog.table_maintenance import TableMaintenance
from winnow.catalog.tables import CONTENTS, DOCUMENTS, REMOVALS
from winnow.core.marks import Mark, parse_warnings
from winnow.core.missing import missing_document
from winnow.core.types import Counts, Document, DocumentState, Metadata
from winnow.ports import DocumentKey, StoredDocument, Submission

SCAN_BATCH: Final = 64
METADATA_BATCH: Final = 500

CONTENT_COLUMNS: Final = tuple(
    CONTENTS.c[name] for name in ("title", "url", "format", "metadata", "text", "marks", "warnings", "canonical")
)
SAME_DOCUMENT: Final = (DOCUMENTS.c.collection_uid == CONTENTS.c.collection_uid) & (DOCUMENTS.c.id == CONTENTS.c.id)

_KEY: Final = (DOCUMENTS.c.id, DOCUMENTS.c.state, DOCUMENTS.c.content_hash, DOCUMENTS.c.revision, DOCUMENTS.c.source)
_MORE: Final = [DOCUMENTS.c[name] for name in ("version", "n_chunks", "error", "error_code", "updated_at")]
_STORED: Final = select(*_KEY, *_MORE, *CONTENT_COLUMNS).join_from(DOCUMENTS, CONTENTS, SAME_DOCUMENT)
_METADATA: Final = select(DOCUMENTS.c.id, CONTENTS.c.metadata).join_from(DOCUMENTS, CONTENTS, SAME_DOCUMENT)


@dataclass
class SqlDocuments(Repository):
    """The port ``DocumentCatalog`` in SQL."""

    maintenance: TableMaintenance

    async def submit(
        self, collection: str, documents: Sequence[Document], *, source: str = "", priority: int = 0
    ) -> Submission:
        batch = await asyncio.to_thread(sort_batch, documents)
        by_id = {item.document.id: item.document for item in batch.incoming}
        order = new_order(self.clock(), priority, source)
        async with self.database.write() as connection:
            uid = await uid_of(connection, collection, lock=True)
            known = await entries.read(connection, uid, by_id)
            removed = await entries.revisions(connection, REMOVALS, uid, by_id.keys() - known.keys())
            change = plan_submission(batch, known, removed, order)
            submission = await carry_out(connection, uid, change, order, by_id)
        self.maintenance.wrote(submission.accepted)
        return submission

    async def tombstone(self, collection: str, document_ids: Sequence[str], *, priority: int = 0) -> Submission:
        order = new_order(self.clock(), priority)
        async with self.database.write() as connection:
            uid = await uid_of(connection, collection, lock=True)
            known = await entries.read(connection, uid, set(document_ids))
            return await carry_out(connection, uid, plan_tombstones(document_ids, known, order), order)

    async def get(self, collection: str, document_id: str) -> StoredDocument:
        async with self.database.read() as connection:
            statement = _visible(_STORED, await uid_of(connection, collection)).where(DOCUMENTS.c.id == document_id)
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            raise missing_document(collection, document_id)
        return _stored(row)

    async def scan(self, collection: str, *, source: str | None = None) -> AsyncIterator[StoredDocument]:
        statement = _STORED if source is None else _STORED.where(DOCUMENTS.c.source == source)
        async for row in self._scan(statement, collection, SCAN_BATCH):
            yield _stored(row)

    async def scan_metadata(self, collection: str) -> AsyncIterator[tuple[str, Metadata]]:
        async for row in self._scan(_METADATA, collection, METADATA_BATCH):
            yield row.id, row.metadata

    async def _scan(self, statement: Select[Any], collection: str, limit: int) -> AsyncIterator[Row[Any]]:
        """The rows of visible documents by id, each batch of ``limit`` read in a transaction of its own."""
        async with self.database.read() as connection:
            uid = await uid_of(connection, collection)
        ordered = _visible(statement, uid).order_by(DOCUMENTS.c.id).limit(limit)
        after, rows = "", None
        while rows is None or len(rows) == limit:
            async with self.database.read() as connection:
                rows = (await connection.execute(ordered.where(DOCUMENTS.c.id > after))).all()
            for row in rows:
                yield row
                after = row.id

    async def list(
        self,
        collection: str,
        *,
        after: str = "",
        limit: int = 1000,
        source: str | None = None,
        state: DocumentState | None = None,
    ) -> Sequence[DocumentKey]:
        async with self.database.read() as connection:
            uid = await uid_of(connection, collection)
            statement = select(*_KEY).where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id > after)
            wanted = DOCUMENTS.c.state != "deleting" if state is None else DOCUMENTS.c.state == state
            statement = statement.where(wanted).order_by(DOCUMENTS.c.id).limit(limit)
            if source is not None:
                statement = statement.where(DOCUMENTS.c.source == source)
            return [DocumentKey(*row) for row in await connection.execute(statement)]

    async def counts(self, name: str) -> Counts:
        async with self.database.read() as connection:
            ((_, counts),) = await count_documents(connection, name)
        return counts


def document_of(row: Row[Any], content: Row[Any]) -> Document:
    """The document in a row with ``id`` and ``version`` and one, perhaps the same, with ``CONTENT_COLUMNS``."""
    return Document(
        id=row.id,
        text=content.text,
        source_format=content.format,
        title=content.title,
        url=content.url,
        metadata=content.metadata,
        version=row.version,
        marks=tuple(Mark(*mark) for mark in content.marks or ()),
        warnings=parse_warnings(content.warnings) if content.warnings else (),
        canonical=content.canonical,
    )


def _visible(statement: Select[Any], uid: str) -> Select[Any]:
    return statement.where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.state != "deleting")


def _stored(row: Row[Any]) -> StoredDocument:
    return StoredDocument(
        document=document_of(row, row),
        revision=row.revision,
        state=row.state,
        content_hash=row.content_hash,
        chunks=row.n_chunks,
        error=row.error,
        error_code=row.error_code,
        source=row.source,
        updated_at=row.updated_at,
    )
