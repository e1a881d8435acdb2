"""The tenant of a job's documents; without one where they are of several.

Revision: 0009, after 0008.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column: jobs up to now are of documents without a tenant."""
    op.add_column("jobs", sa.Column("tenant", sa.Text(), server_default=""))


def downgrade() -> None:
    """Take it away."""
    op.drop_column("jobs", "tenant")
