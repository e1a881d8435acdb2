"""Indexes that were lost and are filled again.

Revision: 0017, after 0016.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the record to the collection: none is being filled again."""
    op.add_column("collections", sa.Column("rebuild", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Take it away."""
    op.drop_column("collections", "rebuild")
