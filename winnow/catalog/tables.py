"""The tables. A document's ledger entry and its content are separate: a change of state never rewrites the text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from winnow.core.types import JsonValue
from winnow.ports import ChunkKey

# byte order on both databases, so that listings page in the same order
Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A point in time: ``timestamptz`` on PostgreSQL, ISO text in UTC on SQLite; always aware in Python."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class ChunkKeys(sa.TypeDecorator[tuple[ChunkKey, ...]]):
    """Chunks as JSON: ``[{"hash": …, "point_id": …}, …]``, which the engine's serializer writes."""

    impl = sa.JSON
    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> tuple[ChunkKey, ...]:  # noqa: ARG002
        return tuple(ChunkKey(chunk["hash"], chunk["point_id"]) for chunk in value)


class Base(SQLModel):
    """Metadata of its own: migrations compare it with the database, and names of constraints are predictable."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


_IN_SERVICE = sa.text("status = 'ready'")
_OPEN = sa.text("due_at IS NOT NULL")


class CollectionRow(Base, table=True):
    """A collection. Its name is unique among those in service; one that is being deleted keeps its row until purged."""

    __tablename__ = "collections"
    __table_args__ = (
        sa.Index("uq_collections_name", "name", unique=True, sqlite_where=_IN_SERVICE, postgresql_where=_IN_SERVICE),
    )

    uid: str = Field(sa_column=sa.Column(Key, primary_key=True))
    name: str = Field(sa_column=sa.Column(Key, nullable=False))
    identity: JsonValue = Field(sa_column=sa.Column(sa.JSON, nullable=False))
    chunking: JsonValue = Field(sa_column=sa.Column(sa.JSON, nullable=False))
    fields_: JsonValue = Field(sa_column=sa.Column("fields", sa.JSON, nullable=False))
    embed_instruct: str | None
    rerank_instruct: str | None
    metadata_: JsonValue = Field(sa_column=sa.Column("metadata", sa.JSON, nullable=False))
    generation: int
    last_generation: int = Field(sa_column=sa.Column(sa.Integer, nullable=False, server_default="1"))
    other: JsonValue = Field(sa_column=sa.Column(sa.JSON(none_as_null=True)))
    status: str
    created_at: datetime = Field(sa_column=sa.Column(UtcDateTime, nullable=False))
    acl_default: str = Field(sa_column=sa.Column(sa.Text, nullable=False, server_default="public"))
    awaits_model: bool = Field(sa_column=sa.Column(sa.Boolean, nullable=False, server_default=sa.false()))
    calibration: JsonValue = Field(sa_column=sa.Column(sa.JSON(none_as_null=True)))
    rebuild: JsonValue = Field(sa_column=sa.Column(sa.JSON(none_as_null=True)))
    rules: str | None = Field(sa_column=sa.Column(sa.Text))
    access_in_use: bool = Field(sa_column=sa.Column(sa.Boolean, nullable=False, server_default=sa.false()))


class DocumentRow(Base, table=True):
    """The ledger entry of a document (``rules.Entry``) and the chunks of the revision that is indexed.

    ``id``, here and in the other tables, is the qualified one (``winnow.core.tenancy``).
    """

    __tablename__ = "documents"

    collection_uid: str = Field(sa_column=sa.Column(Key, sa.ForeignKey("collections.uid"), primary_key=True))
    id: str = Field(sa_column=sa.Column(Key, primary_key=True))
    content_hash: str
    version: int | None = Field(sa_column=sa.Column(sa.BigInteger))
    revision: int
    state: str
    token: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))
    source: str
    priority: int
    submitted_at: datetime = Field(sa_column=sa.Column(UtcDateTime, nullable=False))
    updated_at: datetime = Field(sa_column=sa.Column(UtcDateTime, nullable=False))
    due_at: datetime | None = Field(sa_column=sa.Column(UtcDateTime))
    lease_owner: str | None
    attempts: int
    job_id: str
    indexed_revision: int | None
    n_chunks: int
    built: int | None
    error: str | None
    error_code: str | None
    chunks: JsonValue = Field(sa_column=sa.Column(ChunkKeys, nullable=False))


class ContentRow(Base, table=True):
    """The content of a document, at its newest revision."""

    __tablename__ = "contents"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["collection_uid", "id"], ["documents.collection_uid", "documents.id"], ondelete="CASCADE"
        ),
        sa.Index("ix_contents_text_hash", "collection_uid", "text_hash"),
    )

    collection_uid: str = Field(sa_column=sa.Column(Key, primary_key=True))
    id: str = Field(sa_column=sa.Column(Key, primary_key=True))
    title: str
    url: str
    format: str
    metadata_: JsonValue = Field(sa_column=sa.Column("metadata", sa.JSON, nullable=False))
    text: str = Field(sa_column=sa.Column(sa.Text, nullable=False))
    marks: JsonValue = Field(sa_column=sa.Column(sa.JSON(none_as_null=True)))
    warnings: JsonValue = Field(sa_column=sa.Column(sa.JSON(none_as_null=True)))
    canonical: bool = Field(sa_column=sa.Column(sa.Boolean, nullable=False, server_default=sa.false()))
    text_hash: str | None
    acl: JsonValue = Field(sa_column=sa.Column(sa.JSON(none_as_null=True)))


class DocumentCountRow(Base, table=True):
    """A part of a collection's number of documents and chunks in a state: the sum of its parts is what there is.

    Triggers of the database add them (migration 0004); ``table_maintenance`` merges them.
    """

    __tablename__ = "document_counts"

    collection_uid: str = Field(sa_column=sa.Column(Key, primary_key=True))
    state: str = Field(sa_column=sa.Column(Key, primary_key=True))
    part: int = Field(sa_column=sa.Column(sa.BigInteger, primary_key=True))
    documents: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))
    chunks: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))


class JobRow(Base, table=True):
    """A submission, with counters of the states that its documents reached.

    ``tenant`` is null where they are of several.
    """

    __tablename__ = "jobs"

    id: str = Field(sa_column=sa.Column(Key, primary_key=True))
    collection_uid: str = Field(sa_column=sa.Column(Key, sa.ForeignKey("collections.uid"), index=True, nullable=False))
    tenant: str | None = Field(sa_column=sa.Column(sa.Text, server_default=""))
    total: int
    indexed: int
    deleted: int
    unchanged: int
    failed: int
    superseded: int
    cancelled: int = Field(sa_column=sa.Column(sa.Integer, nullable=False, server_default="0"))
    chunks_embedded: int
    chunks_unread: int = Field(sa_column=sa.Column(sa.Integer, nullable=False, server_default="0"))
    created_at: datetime = Field(sa_column=sa.Column(UtcDateTime, nullable=False))
    finished_at: datetime | None = Field(sa_column=sa.Column(UtcDateTime, index=True))
    waits_for: str | None = Field(sa_column=sa.Column(sa.Text))


class JobFailureRow(Base, table=True):
    """A document that failed in a job, with the reason."""

    __tablename__ = "job_failures"

    job_id: str = Field(sa_column=sa.Column(Key, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True))
    document_id: str = Field(sa_column=sa.Column(Key, primary_key=True))
    code: str
    message: str


class RemovalRow(Base, table=True):
    """A document that was deleted a short while ago: its last revision, and when its points are removed again."""

    __tablename__ = "removals"

    collection_uid: str = Field(sa_column=sa.Column(Key, sa.ForeignKey("collections.uid"), primary_key=True))
    id: str = Field(sa_column=sa.Column(Key, primary_key=True))
    revision: int
    due_at: datetime = Field(sa_column=sa.Column(UtcDateTime, index=True, nullable=False))


def sql_table(row: type[Base]) -> sa.Table:
    """The table of a row's class."""
    return cast("sa.Table", row.__table__)  # type: ignore[attr-defined]  # added by SQLAlchemy's metaclass


COLLECTIONS = sql_table(CollectionRow)
DOCUMENTS = sql_table(DocumentRow)
CONTENTS = sql_table(ContentRow)
DOCUMENT_COUNTS = sql_table(DocumentCountRow)
JOBS = sql_table(JobRow)
JOB_FAILURES = sql_table(JobFailureRow)
REMOVALS = sql_table(RemovalRow)

sa.Index("ix_documents_updated", DOCUMENTS.c.collection_uid, DOCUMENTS.c.updated_at)  # what has changed lately

# the queue: documents in the order of service; rows that are not due are skipped and counted in the index alone
sa.Index(
    "ix_documents_due",
    DOCUMENTS.c.collection_uid,
    DOCUMENTS.c.priority.desc(),
    DOCUMENTS.c.submitted_at,
    DOCUMENTS.c.id,
    DOCUMENTS.c.due_at,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
