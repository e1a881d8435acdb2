"""What a key may use, in place of the settings for every caller.

Revision: 0022, after 0021.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add the limits: keys had none of their own."""
    op.add_column("api_keys", sa.Column("limits", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Take them away."""
    op.drop_column("api_keys", "limits")
