"""Rules of collections: synonyms, pinned and hidden documents, stop-words.

Revision: 0019, after 0018.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the rules to the collection: none has any."""
    op.add_column("collections", sa.Column("rules", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take them away."""
    op.drop_column("collections", "rules")
