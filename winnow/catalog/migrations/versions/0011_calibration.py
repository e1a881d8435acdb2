"""The calibration of a collection's answers.

Revision: 0011, after 0010.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column: collections without a calibration."""
    op.add_column("collections", sa.Column("calibration", sa.JSON()))


def downgrade() -> None:
    """Take it away; answers carry no probability any more."""
    op.drop_column("collections", "calibration")
