"""Collections whose embedding model is chosen by their first documents.

Revision: 0010, after 0009.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column: those that exist have their model."""
    op.add_column("collections", sa.Column("awaits_model", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Take it away: those without documents keep the model that they have."""
    op.drop_column("collections", "awaits_model")
