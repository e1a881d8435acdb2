"""Sources that are kept with a collection.

Revision: 0016, after 0015.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "kept_sources",
        sa.Column("id", KEY, nullable=False),
        sa.Column("collection_uid", KEY, nullable=False),
        sa.Column("spec", KEY, nullable=False),
        sa.Column("tenant", KEY, nullable=False),
        sa.Column("every_seconds", sa.Integer(), nullable=True),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("next_at", MOMENT, nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("last", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["collection_uid"],
            ["collections.uid"],
            name="fk_kept_sources_collection_uid_collections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_kept_sources"),
        sa.UniqueConstraint("collection_uid", "tenant", "spec", name="uq_kept_sources_collection_uid"),
    )
    op.create_index("ix_kept_sources_next_at", "kept_sources", ["next_at"])


def downgrade() -> None:
    """Take it away; nothing is read again by itself any more."""
    op.drop_table("kept_sources")
