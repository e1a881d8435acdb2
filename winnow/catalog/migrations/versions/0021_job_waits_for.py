"""Why documents of a job wait to be tried again.

Revision: 0021, after 0020.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the reason: it was not kept before."""
    op.add_column("jobs", sa.Column("waits_for", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take it away."""
    op.drop_column("jobs", "waits_for")
