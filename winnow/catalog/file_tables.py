"""The tables of kept files, their contents, and their attachments to collections."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from winnow.catalog.access_tables import Words
from winnow.catalog.tables import Base, Key, UtcDateTime, sql_table
from winnow.core.types import JsonValue

_DUE = sa.text("due_at IS NOT NULL")


class KeptFileRow(Base, table=True):
    """A file as it was uploaded."""

    __tablename__ = "kept_files"
    __table_args__ = (sa.Index("ix_kept_files_tenant", "tenant", "id"),)

    id: str = Field(sa_column=sa.Column(Key, primary_key=True))
    tenant: str = Field(sa_column=sa.Column(Key, nullable=False))
    collections: JsonValue = Field(sa_column=sa.Column(Words, nullable=False))
    owner: str
    filename: str
    purpose: str
    content_type: str
    size: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))
    created_at: datetime = Field(sa_column=sa.Column(UtcDateTime, nullable=False))
    expires_at: datetime | None = Field(sa_column=sa.Column(UtcDateTime, index=True))


class FilePieceRow(Base, table=True):
    """A piece of a file's content, from 0."""

    __tablename__ = "file_pieces"

    file_id: str = Field(sa_column=sa.Column(Key, sa.ForeignKey("kept_files.id", ondelete="CASCADE"), primary_key=True))
    piece: int = Field(sa_column=sa.Column(sa.Integer, primary_key=True))
    content: bytes = Field(sa_column=sa.Column(sa.LargeBinary, nullable=False))


class AttachmentRow(Base, table=True):
    """A kept file in a collection; ``due_at`` is when it may be read, null where there is nothing to read."""

    __tablename__ = "attachments"
    __table_args__ = (
        sa.Index("ix_attachments_due_at", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
        sa.Index("ix_attachments_id", "id"),
        sa.Index("ix_attachments_batch", "collection_uid", "batch"),
    )

    collection_uid: str = Field(
        sa_column=sa.Column(Key, sa.ForeignKey("collections.uid", ondelete="CASCADE"), primary_key=True)
    )
    id: str = Field(sa_column=sa.Column(Key, primary_key=True))
    filename: str
    size: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))
    attributes: JsonValue = Field(sa_column=sa.Column(sa.JSON, nullable=False))
    state: str
    error_code: str | None
    error: str | None
    batch: str
    created_at: datetime = Field(sa_column=sa.Column(UtcDateTime, nullable=False))
    token: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))
    attempts: int
    due_at: datetime | None = Field(sa_column=sa.Column(UtcDateTime))


class AttachmentBatchRow(Base, table=True):
    """Files that were attached together."""

    __tablename__ = "attachment_batches"

    id: str = Field(sa_column=sa.Column(Key, primary_key=True))
    collection_uid: str = Field(
        sa_column=sa.Column(Key, sa.ForeignKey("collections.uid", ondelete="CASCADE"), index=True, nullable=False)
    )
    tenant: str
    created_at: datetime = Field(sa_column=sa.Column(UtcDateTime, nullable=False))
    cancelled: bool = Field(sa_column=sa.Column(sa.Boolean, nullable=False))


KEPT_FILES = sql_table(KeptFileRow)
FILE_PIECES = sql_table(FilePieceRow)
ATTACHMENTS = sql_table(AttachmentRow)
ATTACHMENT_BATCHES = sql_table(AttachmentBatchRow)
