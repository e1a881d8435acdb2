"""A second index of a collection, and which documents are in both.

Revision: 0002, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; the highest number of an index so far is the one that serves."""
    op.add_column("collections", sa.Column("last_generation", sa.Integer(), nullable=False, server_default="1"))
    op.execute("UPDATE collections SET last_generation = generation")
    op.add_column("collections", sa.Column("other", sa.JSON()))
    op.add_column("documents", sa.Column("built", sa.Integer()))


def downgrade() -> None:
    """Take the columns away; a second index is forgotten."""
    for table, column in (("documents", "built"), ("collections", "other"), ("collections", "last_generation")):
        op.drop_column(table, column)
