"""Documents that were deleted a short while ago; jobs that were cancelled, and an index to prune finished ones by.

Revision: 0003, after 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# spelled out here, not taken from the tables: a migration must not change when they do
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the table, the counter and the indexes."""
    op.create_table(
        "removals",
        sa.Column("collection_uid", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["collection_uid"], ["collections.uid"], name="fk_removals_collection_uid_collections"),
        sa.PrimaryKeyConstraint("collection_uid", "id", name="pk_removals"),
    )
    op.create_index("ix_removals_due_at", "removals", ["due_at"])
    op.add_column("jobs", sa.Column("cancelled", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_jobs_finished_at", "jobs", ["finished_at"])


def downgrade() -> None:
    """Take them away; points that a stalled worker writes after a deletion stay."""
    op.drop_index("ix_jobs_finished_at", "jobs")
    op.drop_column("jobs", "cancelled")
    op.drop_table("removals")
