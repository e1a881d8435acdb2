"""Lists of results that later pages of a search are cut from.

Revision: 0018, after 0017.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "result_lists",
        sa.Column("id", KEY, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_result_lists"),
    )
    op.create_index("ix_result_lists_until", "result_lists", ["until"])


def downgrade() -> None:
    """Take it away; searches are paged from the start."""
    op.drop_table("result_lists")
