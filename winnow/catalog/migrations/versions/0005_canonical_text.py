"""What a document was read from and with which losses; texts stored before are as they were submitted.

Revision: 0005, after 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("contents", sa.Column("marks", sa.JSON()))
    op.add_column("contents", sa.Column("warnings", sa.JSON()))
    op.add_column("contents", sa.Column("canonical", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Take them away; anchors and pages of documents are lost."""
    op.drop_column("contents", "canonical")
    op.drop_column("contents", "warnings")
    op.drop_column("contents", "marks")
