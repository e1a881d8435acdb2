"""The ledger as integrity checks and progress reports see it, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import false, func, select

from winnow.catalog import entries, reembedding
from winnow.catalog.collections import collection_of, uid_of
from winnow.catalog.documents import SAME_DOCUMENT, of_tenant
from winnow.catalog.engine import Repository, allow_long
from winnow.catalog.jobs import carry_out, new_order
from winnow.catalog.rules.entries import SETTLING
from winnow.catalog.rules.interventions import NO_CONTENT, plan_repair
from winnow.catalog.tables import CONTENTS, DOCUMENTS, REMOVALS
from winnow.core.types import Document
from winnow.ports import Changes, IndexedDocument, LedgerEntry, ReembedProgress, Submission

_NAMES: Final = "id state revision indexed_revision chunks n_chunks token due_at built".split()


class SqlAudit(Repository):
    """The port ``LedgerAudit`` in SQL."""

    async def entries(
        self, collection: str, *, after: str = "", limit: int = 1000, among: Sequence[str] | None = None
    ) -> Sequence[LedgerEntry]:
        async with self.database.read() as connection:
            uid = await uid_of(connection, collection)
            statement = select(*(DOCUMENTS.c[name] for name in _NAMES))
            statement = statement.where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.id > after)
            if among is not None:
                statement = statement.where(DOCUMENTS.c.id.in_(among))
            rows = await connection.execute(statement.order_by(DOCUMENTS.c.id).limit(limit))
            return [
                LedgerEntry(
                    id=row.id,
                    state=row.state,
                    revision=row.revision,
                    indexed_revision=row.indexed_revision,
                    points=() if row.indexed_revision is None else tuple(chunk.point_id for chunk in row.chunks),
                    n_chunks=row.n_chunks,
                    token=row.token,
                    waits=row.due_at is not None,
                    built=row.built,
                )
                for row in rows
            ]

    async def changes(self, collection: str, since: datetime) -> Changes:
        async with self.database.read() as connection:
            uid = await uid_of(connection, collection)
            columns = [DOCUMENTS.c[name] for name in ("id", "indexed_revision", "chunks", "updated_at")]
            changed = select(*columns).where(DOCUMENTS.c.collection_uid == uid, DOCUMENTS.c.updated_at >= since)
            rows = (await connection.execute(changed)).all()
            removed = select(REMOVALS.c.id, REMOVALS.c.due_at)
            removed = removed.where(REMOVALS.c.collection_uid == uid, REMOVALS.c.due_at >= since + SETTLING)
            gone = (await connection.execute(removed)).all()
        moments = [row.updated_at for row in rows] + [row.due_at - SETTLING for row in gone]
        return Changes(
            changed=tuple(
                IndexedDocument(row.id, row.indexed_revision, tuple(chunk.point_id for chunk in row.chunks))
                for row in rows
            ),
            removed=tuple(row.id for row in gone),
            until=max(moments, default=None),
        )

    async def repair(self, collection: str, revisions: Mapping[str, int], *, priority: int = 0) -> Submission:
        order = new_order(self.clock(), revisions, priority=priority)
        async with self.database.write() as connection:
            uid = await uid_of(connection, collection, lock=True)
            change = plan_repair(revisions, await entries.read(connection, uid, revisions), order)
            contents = {entry.id: Document(entry.id, NO_CONTENT) for entry in change.created}
            return await carry_out(connection, uid, change, order, contents)

    async def unconverted(self, collection: str, *, tenant: str | None = None) -> int:
        async with self.database.read() as connection:
            await allow_long(connection)
            uid = await uid_of(connection, collection)
            statement = select(func.count()).select_from(CONTENTS).join(DOCUMENTS, SAME_DOCUMENT)
            unread = CONTENTS.c.canonical.is_(false()) & (CONTENTS.c.format != "text")
            visible = (DOCUMENTS.c.collection_uid == uid) & (DOCUMENTS.c.state != "deleting")
            mine = () if tenant is None else of_tenant(tenant)
            return int(await connection.scalar(statement.where(visible, unread, *mine)) or 0)

    async def reembed_progress(self, name: str) -> ReembedProgress:
        async with self.database.read() as connection:
            await allow_long(connection)
            return await reembedding.progress(connection, await collection_of(connection, name))
