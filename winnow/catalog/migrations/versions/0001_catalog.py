"""Create collections, documents with their contents, and jobs.

Revision: 0001, the first.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# spelled out here, not taken from the tables: a migration must not change when they do
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_collections()
    _create_documents()
    _create_contents()
    _create_jobs()


def downgrade() -> None:
    for table in ("job_failures", "jobs", "contents", "documents", "collections"):
        op.drop_table(table)


def _create_collections() -> None:
    op.create_table(
        "collections",
        sa.Column("uid", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("identity", sa.JSON(), nullable=False),
        sa.Column("chunking", sa.JSON(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("embed_instruct", sa.String()),
        sa.Column("rerank_instruct", sa.String()),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("uid", name="pk_collections"),
    )
    in_service = sa.text("status = 'ready'")
    op.create_index(
        "uq_collections_name",
        "collections",
        ["name"],
        unique=True,
        sqlite_where=in_service,
        postgresql_where=in_service,
    )


def _create_documents() -> None:
    op.create_table(
        "documents",
        sa.Column("collection_uid", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger()),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("submitted_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT),
        sa.Column("lease_owner", sa.String()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("indexed_revision", sa.Integer()),
        sa.Column("n_chunks", sa.Integer(), nullable=False),
        sa.Column("error", sa.String()),
        sa.Column("error_code", sa.String()),
        sa.Column("chunks", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_uid"], ["collections.uid"], name="fk_documents_collection_uid_collections"
        ),
        sa.PrimaryKeyConstraint("collection_uid", "id", name="pk_documents"),
    )
    waiting = sa.text("due_at IS NOT NULL")
    op.create_index(
        "ix_documents_due",
        "documents",
        ["collection_uid", sa.text("priority DESC"), "submitted_at", "id", "due_at"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_index("ix_documents_state", "documents", ["collection_uid", "state", "n_chunks"])


def _create_contents() -> None:
    op.create_table(
        "contents",
        sa.Column("collection_uid", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_uid", "id"],
            ["documents.collection_uid", "documents.id"],
            name="fk_contents_collection_uid_documents",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("collection_uid", "id", name="pk_contents"),
    )


def _create_jobs() -> None:
    counters = ("total", "indexed", "deleted", "unchanged", "failed", "superseded", "chunks_embedded")
    op.create_table(
        "jobs",
        sa.Column("id", KEY, nullable=False),
        sa.Column("collection_uid", KEY, nullable=False),
        *(sa.Column(counter, sa.Integer(), nullable=False) for counter in counters),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.ForeignKeyConstraint(["collection_uid"], ["collections.uid"], name="fk_jobs_collection_uid_collections"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_collection_uid", "jobs", ["collection_uid"])
    op.create_table(
        "job_failures",
        sa.Column("job_id", KEY, nullable=False),
        sa.Column("document_id", KEY, nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_failures_job_id_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "document_id", name="pk_job_failures"),
    )
