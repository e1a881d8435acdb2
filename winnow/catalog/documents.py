"""Documents in SQL: submitted, deleted, read one by one or in listings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, CompoundSelect, Row, Select, func, literal, select, union_all

from winnow.catalog import entries
from winnow.catalog.collections import count_documents, sum_states, uid_of
from winnow.catalog.engine import Repository
from winnow.catalog.jobs import carry_out, new_order
from winnow.catalog.rules.submissions import plan_submission, plan_tombstones, sort_batch
from winnow.catalog.table_maintenance import TableMaintenance
from winnow.catalog.tables import CONTENTS, DOCUMENTS, REMOVALS
from winnow.core.access import access_values
from winnow.core.acl import parse_acl
from winnow.core.marks import Mark, parse_warnings
from winnow.core.missing import missing_document
from winnow.core.tenancy import id_range, plain_id
from winnow.core.types import Counts, Document, DocumentState
from winnow.ports import DescribedKey, DocumentKey, StoredDocument, Submission, TextSpan

SCAN_BATCH: Final = 64
METADATA_BATCH: Final = 500

CONTENT_COLUMNS: Final = tuple(
    CONTENTS.c[name] for name in ("title", "url", "format", "metadata", "text", "marks", "warnings", "canonical", "acl")
)
SAME_DOCUMENT: Final = (DOCUMENTS.c.collection_uid == CONTENTS.c.collection_uid) & (DOCUMENTS.c.id == CONTENTS.c.id)

_KEY: Final = (DOCUMENTS.c.id, DOCUMENTS.c.state, DOCUMENTS.c.content_hash, DOCUMENTS.c.revision, DOCUMENTS.c.source)
_MORE: Final = [DOCUMENTS.c[name] for name in ("version", "n_chunks", "error", "error_code", "updated_at")]
_STORED: Final = select(*_KEY, *_MORE, *CONTENT_COLUMNS).join_from(DOCUMENTS, CONTENTS, SAME_DOCUMENT)
_DESCRIBED: Final = select(*_KEY, DOCUMENTS.c.n_chunks, CONTENTS.c.metadata, CONTENTS.c.acl).join_from(
    DOCUMENTS, CONTENTS, SAME_DOCUMENT
)


@dataclass
class SqlDocuments(Repository):
    """The port ``DocumentCatalog`` in SQL."""

    maintenance: TableMaintenance

    async def submit(
        self, collection: str, documents: Sequence[Document], *, source: str = "", priority: int = 0
    ) -> Submission:
        batch = await asyncio.to_thread(sort_batch, documents)
        by_id = {item.document.id: item.document for item in batch.incoming}
        order = new_order(self.clock(), by_id, priority=priority, source=source)
        async with self.database.write() as connection:
            uid = await uid_of(connection, collection, lock=True)
            known = await entries.read(connection, uid, by_id)
            removed = await entries.revisions(connection, REMOVALS, uid, by_id.keys() - known.keys())
            change = plan_submission(batch, known, removed, order)
            submission = await carry_out(connection, uid, change, order, by_id)
        self.maintenance.wrote(submission.accepted)
        return submission

    async def tombstone(self, collection: str, document_ids: Sequence[str], *, priority: int = 0) -> Submission:
        order = new_order(self.clock(), document_ids, priority=priority)
        async with self.database.write() as connection:
            uid = await uid_of(connection, collection, lock=True)
            known = await entries.read(connection, uid, set(document_ids))
            return await carry_out(connection, uid, plan_tombstones(document_ids, known, order), order)

    async def get(self, collection: str, document_id: str) -> StoredDocument:
        async with self.database.read() as connection:
            statement = _visible(_STORED, await uid_of(connection, collection)).where(DOCUMENTS.c.id == document_id)
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            raise missing_document(collection, plain_id(document_id))
        return _stored(row)

    async def texts_between(self, collection: str, spans: Sequence[TextSpan]) -> Sequence[str | None]:
        if not spans:
            return ()
        async with self.database.read() as connection:
            uid = await uid_of(connection, collection)
            found = {row[0]: row[1] for row in await connection.execute(_between(uid, spans))}
        return [found.get(number) for number in range(len(spans))]

    async def scan(self, collection: str, *, source: str | None = None) -> AsyncIterator[StoredDocument]:
        async for row in self._scan(_chosen(_STORED, source=source), collection, SCAN_BATCH):
            yield _stored(row)

    async def scan_keys(
        self,
        collection: str,
        *,
        after: str = "",
        source: str | None = None,
        state: DocumentState | None = None,
        tenant: str | None = None,
        descending: bool = False,
    ) -> AsyncIterator[DescribedKey]:
        statement = _chosen(_DESCRIBED, source=source, state=state, tenant=tenant)
        async for row in self._scan(statement, collection, METADATA_BATCH, after=after, descending=descending):
            metadata = {**row.metadata, **access_values(row.id, parse_acl(row.acl))}
            yield DescribedKey(DocumentKey(*row[: len(_KEY)]), row.n_chunks, metadata)

    async def _scan(
        self, statement: Select[Any], collection: str, limit: int, *, after: str = "", descending: bool = False
    ) -> AsyncIterator[Row[Any]]:
        """The rows by id, those beyond ``after``, each batch of ``limit`` read in a transaction of its own."""
        async with self.database.read() as connection:
            uid = await uid_of(connection, collection)
        mine = statement.where(DOCUMENTS.c.collection_uid == uid)
        rows = None
        while rows is None or len(rows) == limit:
            async with self.database.read() as connection:
                rows = (await connection.execute(_page(mine, after, limit, descending=descending))).all()
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
        tenant: str | None = None,
        descending: bool = False,
    ) -> Sequence[DocumentKey]:
        async with self.database.read() as connection:
            uid = await uid_of(connection, collection)
            statement = _chosen(select(*_KEY), source=source, state=state, tenant=tenant)
            statement = statement.where(DOCUMENTS.c.collection_uid == uid)
            rows = await connection.execute(_page(statement, after, limit, descending=descending))
            return [DocumentKey(*row) for row in rows]

    async def counts(self, name: str, *, tenant: str | None = None) -> Counts:
        async with self.database.read() as connection:
            if tenant is None:
                ((_, counts),) = await count_documents(connection, name)
                return counts
            sums = func.count(), func.coalesce(func.sum(DOCUMENTS.c.n_chunks), 0)
            statement = select(DOCUMENTS.c.state, *sums).where(*of_tenant(tenant)).group_by(DOCUMENTS.c.state)
            mine = statement.where(DOCUMENTS.c.collection_uid == await uid_of(connection, name))
            return sum_states({row[0]: (row[1], int(row[2])) for row in await connection.execute(mine)})


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
        acl=parse_acl(content.acl),
    )


def _chosen(
    statement: Select[Any],
    *,
    source: str | None = None,
    state: DocumentState | None = None,
    tenant: str | None = None,
) -> Select[Any]:
    """The documents among the rows that a listing asks for; without a ``state`` those that are not being deleted."""
    statement = statement.where(DOCUMENTS.c.state != "deleting" if state is None else DOCUMENTS.c.state == state)
    if source is not None:
        statement = statement.where(DOCUMENTS.c.source == source)
    return statement if tenant is None else statement.where(*of_tenant(tenant))


def _page(statement: Select[Any], after: str, limit: int, *, descending: bool) -> Select[Any]:
    """The next rows by id, those beyond ``after``, from the end if ``descending``."""
    if descending:
        before = statement.where(DOCUMENTS.c.id < after) if after else statement
        return before.order_by(DOCUMENTS.c.id.desc()).limit(limit)
    return statement.where(DOCUMENTS.c.id > after).order_by(DOCUMENTS.c.id).limit(limit)


def of_tenant(tenant: str) -> tuple[ColumnElement[bool], ...]:
    """The condition that a row of ``DOCUMENTS`` is a tenant's."""
    first, end = id_range(tenant)
    from_first = DOCUMENTS.c.id >= first
    return (from_first,) if end is None else (from_first, DOCUMENTS.c.id < end)


def _visible(statement: Select[Any], uid: str) -> Select[Any]:
    return statement.where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.state != "deleting")


def _between(uid: str, spans: Sequence[TextSpan]) -> CompoundSelect[Any]:
    """Number and text of each span whose document has its revision: a row each, so that no whole text is read."""
    parts = (
        select(literal(number), func.substr(CONTENTS.c.text, span.start + 1, span.end - span.start))
        .join_from(DOCUMENTS, CONTENTS, SAME_DOCUMENT)
        .where(DOCUMENTS.c.id == span.document_id, DOCUMENTS.c.revision == span.revision)
        for number, span in enumerate(spans)
    )
    return union_all(*(_visible(part, uid) for part in parts))


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
