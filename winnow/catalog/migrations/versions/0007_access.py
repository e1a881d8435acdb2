"""Access lists of documents, and what a collection says of access.

Documents of tenants need no column: their ids tell the tenant (``winnow.core.tenancy``).

Revision: 0007, after 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns: documents without a list in collections where those are public."""
    op.add_column("contents", sa.Column("acl", sa.JSON()))
    op.add_column("collections", sa.Column("acl_default", sa.Text(), nullable=False, server_default="public"))
    op.add_column("collections", sa.Column("access_in_use", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Take them away; access lists are lost."""
    op.drop_column("collections", "access_in_use")
    op.drop_column("collections", "acl_default")
    op.drop_column("contents", "acl")
