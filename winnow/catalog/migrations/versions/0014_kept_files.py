"""Files that are kept as they were uploaded, and their attachments to collections.

Revision: 0014, after 0013.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)
DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    """Add the tables. Their rows go with the collection, also where an earlier version deletes it."""
    _add_files()
    op.create_table(
        "attachments",
        sa.Column("collection_uid", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("batch", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["collection_uid"],
            ["collections.uid"],
            name="fk_attachments_collection_uid_collections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("collection_uid", "id", name="pk_attachments"),
    )
    op.create_index("ix_attachments_due_at", "attachments", ["due_at"], sqlite_where=DUE, postgresql_where=DUE)
    op.create_index("ix_attachments_id", "attachments", ["id"])
    op.create_index("ix_attachments_batch", "attachments", ["collection_uid", "batch"])
    op.create_table(
        "attachment_batches",
        sa.Column("id", KEY, nullable=False),
        sa.Column("collection_uid", KEY, nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_uid"],
            ["collections.uid"],
            name="fk_attachment_batches_collection_uid_collections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_attachment_batches"),
    )
    op.create_index("ix_attachment_batches_collection_uid", "attachment_batches", ["collection_uid"])


def _add_files() -> None:
    op.create_table(
        "kept_files",
        sa.Column("id", KEY, nullable=False),
        sa.Column("tenant", KEY, nullable=False),
        sa.Column("collections", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_kept_files"),
    )
    op.create_index("ix_kept_files_expires_at", "kept_files", ["expires_at"])
    op.create_index("ix_kept_files_tenant", "kept_files", ["tenant", "id"])
    op.create_table(
        "file_pieces",
        sa.Column("file_id", KEY, nullable=False),
        sa.Column("piece", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"], ["kept_files.id"], name="fk_file_pieces_file_id_kept_files", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("file_id", "piece", name="pk_file_pieces"),
    )


def downgrade() -> None:
    """Take them away: uploaded files are lost, the documents that were read from them stay."""
    for table in ("attachment_batches", "attachments", "file_pieces", "kept_files"):
        op.drop_table(table)
