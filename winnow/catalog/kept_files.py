"""Kept files and their attachments in SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import timedelta
from itertools import count
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog.bulk import slices
from winnow.catalog.collections import uid_of
from winnow.catalog.engine import Repository
from winnow.catalog.file_tables import ATTACHMENT_BATCHES, ATTACHMENTS, FILE_PIECES, KEPT_FILES
from winnow.catalog.tables import COLLECTIONS, DOCUMENTS
from winnow.core.missing import missing_batch, missing_file
from winnow.core.tenancy import id_range, plain_id
from winnow.core.types import JsonValue
from winnow.ports import Attachment, AttachmentBatch, AttachmentState, KeptFile, ReadingClaim
from winnow.ports.kept_files import ROW_MARK

_AFTER_ROWS: Final = chr(ord(ROW_MARK) + 1)
_OWN: Final = tuple(ATTACHMENTS.c[each.name] for each in fields(Attachment) if each.name in ATTACHMENTS.c)
# a document of an attachment has its id, or one that goes on with the mark of rows
_ITS_DOCUMENTS: Final = and_(
    DOCUMENTS.c.collection_uid == ATTACHMENTS.c.collection_uid,
    DOCUMENTS.c.id >= ATTACHMENTS.c.id,
    DOCUMENTS.c.id < ATTACHMENTS.c.id + _AFTER_ROWS,
    DOCUMENTS.c.state != "deleting",
)
_STATES: Final = ("pending", "indexed", "failed")


class SqlFiles(Repository):
    """The port ``FileCatalog`` in SQL."""

    async def keep(self, file: KeptFile, content: AsyncIterator[bytes]) -> KeptFile:
        kept = replace(file, created_at=file.created_at or self.clock())
        async with self.database.write() as connection:
            await connection.execute(insert(KEPT_FILES), asdict(kept))
            number = 0
            async for piece in content:
                row = {"file_id": kept.id, "piece": number, "content": piece}
                await connection.execute(insert(FILE_PIECES), row)
                number += 1
        return kept

    async def get(self, file_id: str) -> KeptFile:
        now = self.clock()
        async with self.database.read() as connection:
            statement = select(KEPT_FILES).where(KEPT_FILES.c.id == file_id)
            row = (await connection.execute(statement)).mappings().one_or_none()
        if row is None or (row["expires_at"] is not None and row["expires_at"] <= now):
            raise missing_file(file_id)
        return KeptFile(**row)

    async def content(self, file_id: str) -> AsyncIterator[bytes]:
        await self.get(file_id)
        for number in count():
            statement = select(FILE_PIECES.c.content)
            statement = statement.where(FILE_PIECES.c.file_id == file_id, FILE_PIECES.c.piece == number)
            async with self.database.read() as connection:
                piece: bytes | None = await connection.scalar(statement)
            if piece is None:
                return
            yield piece

    async def list(
        self, *, tenant: str, after: str = "", descending: bool = False, limit: int = 1000, purpose: str | None = None
    ) -> Sequence[KeptFile]:
        alive = or_(KEPT_FILES.c.expires_at.is_(null()), KEPT_FILES.c.expires_at > self.clock())
        statement = select(KEPT_FILES).where(KEPT_FILES.c.tenant == tenant, alive)
        if purpose is not None:
            statement = statement.where(KEPT_FILES.c.purpose == purpose)
        statement = _page(statement, KEPT_FILES.c.id, after=after, descending=descending, limit=limit)
        async with self.database.read() as connection:
            return [KeptFile(**row) for row in (await connection.execute(statement)).mappings()]

    async def remove(self, file_id: str) -> None:
        async with self.database.write() as connection:
            await connection.execute(delete(KEPT_FILES).where(KEPT_FILES.c.id == file_id))

    async def expired(self, *, limit: int) -> Sequence[KeptFile]:
        statement = select(KEPT_FILES).where(KEPT_FILES.c.expires_at <= self.clock()).limit(limit)
        async with self.database.read() as connection:
            return [KeptFile(**row) for row in (await connection.execute(statement)).mappings()]

    async def collections_with(self, attachment_id: str) -> Sequence[str]:
        statement = select(COLLECTIONS.c.name).join(ATTACHMENTS, ATTACHMENTS.c.collection_uid == COLLECTIONS.c.uid)
        statement = statement.where(ATTACHMENTS.c.id == attachment_id, COLLECTIONS.c.status == "ready")
        async with self.database.read() as connection:
            return list(await connection.scalars(statement.order_by(COLLECTIONS.c.name)))

    async def attach(self, collection: str, attachments: Sequence[Attachment], batch: AttachmentBatch | None) -> None:
        now = self.clock()
        async with self.database.write() as connection:
            uid = await uid_of(connection, collection, lock=True)
            if batch is not None:
                await connection.execute(insert(ATTACHMENT_BATCHES), asdict(batch) | {"collection_uid": uid})
            for some in slices(attachments):
                rows = [_row(each) | {"collection_uid": uid, "created_at": now, "due_at": now} for each in some]
                await connection.execute(delete(ATTACHMENTS).where(*_of(uid, [each.id for each in some])))
                await connection.execute(insert(ATTACHMENTS), rows)

    async def attachments(
        self,
        collection: str,
        *,
        tenant: str,
        among: Sequence[str] | None = None,
        batch: str | None = None,
        after: str = "",
        descending: bool = False,
        limit: int = 1000,
    ) -> Sequence[Attachment]:
        async with self.database.read() as connection:
            uid = await uid_of(connection, collection)
            chosen = select(*_OWN, ATTACHMENTS.c.collection_uid).where(ATTACHMENTS.c.collection_uid == uid)
            chosen = chosen.where(*_of_tenant(tenant))
            if among is not None:
                chosen = chosen.where(ATTACHMENTS.c.id.in_(list(among)))
            if batch is not None:
                chosen = chosen.where(ATTACHMENTS.c.batch == batch)
            chosen = _page(chosen, ATTACHMENTS.c.id, after=after, descending=descending, limit=limit)
            rows = (await connection.execute(chosen)).mappings().all()
            counted = await _documents_of(connection, uid, [row["id"] for row in rows])
        return [_attachment(row, counted.get(row["id"])) for row in rows]

    async def waiting(self, collection: str, *, tenant: str) -> tuple[int, int, int, int]:
        columns = [
            func.coalesce(func.sum(case((ATTACHMENTS.c.state == state, 1), else_=0)), 0)
            for state in ("waiting", "failed", "cancelled")
        ]
        columns.append(func.coalesce(func.sum(ATTACHMENTS.c.size), 0))
        async with self.database.read() as connection:
            uid = await uid_of(connection, collection)
            statement = select(*columns).where(ATTACHMENTS.c.collection_uid == uid, *_of_tenant(tenant))
            waits, failed, cancelled, size = (await connection.execute(statement)).one()
        return int(waits), int(failed), int(cancelled), int(size)

    async def describe(self, collection: str, attachment_id: str, attributes: Mapping[str, JsonValue]) -> None:
        async with self.database.write() as connection:
            uid = await uid_of(connection, collection, lock=True)
            again = case(
                (ATTACHMENTS.c.state == "waiting", literal(self.clock(), ATTACHMENTS.c.due_at.type)), else_=null()
            )
            values = {"attributes": dict(attributes), "token": ATTACHMENTS.c.token + 1, "due_at": again}
            await connection.execute(update(ATTACHMENTS).where(*_of(uid, [attachment_id])).values(values))

    async def detach(self, collection: str, attachment_id: str) -> bool:
        async with self.database.write() as connection:
            uid = await uid_of(connection, collection, lock=True)
            return (await connection.execute(delete(ATTACHMENTS).where(*_of(uid, [attachment_id])))).rowcount > 0

    async def batch(self, collection: str, batch_id: str) -> AttachmentBatch:
        async with self.database.read() as connection:
            return await _batch(connection, await uid_of(connection, collection), batch_id)

    async def cancel_batch(self, collection: str, batch_id: str) -> None:
        async with self.database.write() as connection:
            uid = await uid_of(connection, collection, lock=True)
            await _batch(connection, uid, batch_id)
            await connection.execute(
                update(ATTACHMENT_BATCHES).where(ATTACHMENT_BATCHES.c.id == batch_id).values(cancelled=True)
            )
            unread = (ATTACHMENTS.c.collection_uid == uid, ATTACHMENTS.c.batch == batch_id, _waits())
            values = {"state": "cancelled", "due_at": null(), "token": ATTACHMENTS.c.token + 1}
            await connection.execute(update(ATTACHMENTS).where(*unread).values(values))

    async def claim(self, *, lease_seconds: float) -> ReadingClaim | None:
        now = self.clock()
        oldest = (
            select(*_OWN, ATTACHMENTS.c.collection_uid, COLLECTIONS.c.name)
            .join(COLLECTIONS, COLLECTIONS.c.uid == ATTACHMENTS.c.collection_uid)
            .where(ATTACHMENTS.c.due_at <= now, COLLECTIONS.c.status == "ready")
            .order_by(ATTACHMENTS.c.due_at, ATTACHMENTS.c.id)
            .limit(1)
            .with_for_update(skip_locked=True, of=ATTACHMENTS)
        )
        async with self.database.read() as connection:  # most of the time there is none: then no writer waits for it
            if await connection.scalar(select(ATTACHMENTS.c.id).where(ATTACHMENTS.c.due_at <= now).limit(1)) is None:
                return None
        async with self.database.write() as connection:
            row = (await connection.execute(oldest)).mappings().one_or_none()
            if row is None:
                return None
            found = _attachment(row, None)
            claimed = replace(found, token=found.token + 1, attempts=found.attempts + 1)
            values = {
                "token": claimed.token,
                "attempts": claimed.attempts,
                "due_at": now + timedelta(seconds=lease_seconds),
            }
            await connection.execute(update(ATTACHMENTS).where(*_of(row["collection_uid"], [found.id])).values(values))
            kept = select(KEPT_FILES).where(KEPT_FILES.c.id == plain_id(found.id))
            file = (await connection.execute(kept)).mappings().one_or_none()
        # without its file it is claimed all the same: reading it fails, and says why
        gone = KeptFile(plain_id(found.id), found.filename, found.size)
        return ReadingClaim(row["name"], claimed, gone if file is None else KeptFile(**file))

    async def settle(
        self, claim: ReadingClaim, state: AttachmentState, *, error_code: str = "", error: str = ""
    ) -> bool:
        values = {"state": state, "error_code": error_code or None, "error": error or None, "due_at": null()}
        return await self._change(claim, values)

    async def put_off(self, claim: ReadingClaim, *, seconds: float, tried: bool = True) -> None:
        values: dict[str, Any] = {"due_at": self.clock() + timedelta(seconds=seconds)}
        if not tried:
            values["attempts"] = claim.attachment.attempts - 1
        await self._change(claim, values, _waits())

    async def release(self) -> None:
        async with self.database.write() as connection:
            await connection.execute(update(ATTACHMENTS).where(_waits()).values(due_at=self.clock()))

    async def _change(self, claim: ReadingClaim, values: Mapping[str, Any], *conditions: ColumnElement[bool]) -> bool:
        """Change a claimed attachment that has not changed since."""
        of_name = select(COLLECTIONS.c.uid).where(
            COLLECTIONS.c.name == claim.collection, COLLECTIONS.c.status == "ready"
        )
        same = (
            ATTACHMENTS.c.collection_uid == of_name.scalar_subquery(),
            ATTACHMENTS.c.id == claim.attachment.id,
            ATTACHMENTS.c.token == claim.attachment.token,
        )
        async with self.database.write() as connection:
            changed = await connection.execute(update(ATTACHMENTS).where(*same, *conditions).values(values))
            return changed.rowcount > 0


async def _batch(connection: AsyncConnection, uid: str, batch_id: str) -> AttachmentBatch:
    columns = [ATTACHMENT_BATCHES.c[each.name] for each in fields(AttachmentBatch)]
    mine = (ATTACHMENT_BATCHES.c.id == batch_id, ATTACHMENT_BATCHES.c.collection_uid == uid)
    row = (await connection.execute(select(*columns).where(*mine))).mappings().one_or_none()
    if row is None:
        raise missing_batch(batch_id)
    return AttachmentBatch(**row)


async def _documents_of(
    connection: AsyncConnection, uid: str, ids: Sequence[str]
) -> dict[str, tuple[dict[str, int], str | None]]:
    """The numbers of documents of attachments by state, and why one of them failed."""
    found: dict[str, tuple[dict[str, int], str | None]] = {}
    sums = [func.sum(case((DOCUMENTS.c.state == state, 1), else_=0)).label(f"n_{state}") for state in _STATES]
    errors = case((DOCUMENTS.c.state == "failed", DOCUMENTS.c.error), else_=null())
    for some in slices(ids):
        statement = select(ATTACHMENTS.c.id, *sums, func.max(errors).label("error")).join(DOCUMENTS, _ITS_DOCUMENTS)
        rows = await connection.execute(statement.where(*_of(uid, some)).group_by(ATTACHMENTS.c.id))
        for row in rows.mappings():
            numbers = {state: int(row[f"n_{state}"]) for state in _STATES if row[f"n_{state}"]}
            found[row["id"]] = numbers, row["error"]
    return found


def _attachment(row: RowMapping, counted: tuple[dict[str, int], str | None] | None) -> Attachment:
    numbers, error = counted or ({}, None)
    own = {column.name: row[column.name] for column in _OWN}
    return Attachment(**own, documents=numbers, document_error=error)


def _row(attachment: Attachment) -> dict[str, Any]:
    return {column.name: getattr(attachment, column.name) for column in _OWN}


def _of(uid: str, ids: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
    return ATTACHMENTS.c.collection_uid == uid, ATTACHMENTS.c.id.in_(list(ids))


def _of_tenant(tenant: str) -> tuple[ColumnElement[bool], ...]:
    first, end = id_range(tenant)
    return (ATTACHMENTS.c.id >= first,) if end is None else (ATTACHMENTS.c.id >= first, ATTACHMENTS.c.id < end)


def _waits() -> ColumnElement[bool]:
    return ATTACHMENTS.c.state == "waiting"


def _page(
    statement: Select[Any], column: ColumnElement[str], *, after: str, descending: bool, limit: int
) -> Select[Any]:
    if after:
        statement = statement.where(column < after if descending else column > after)
    return statement.order_by(column.desc() if descending else column).limit(limit)
