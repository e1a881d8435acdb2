"""Chunks of a job that its collection's embedding model cannot read.

Revision: 0013, after 0012.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the counter: it was not counted before."""
    op.add_column("jobs", sa.Column("chunks_unread", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Take it away."""
    op.drop_column("jobs", "chunks_unread")
