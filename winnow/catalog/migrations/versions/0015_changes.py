"""Documents in the order in which they were written, for processes that follow what changes.

Revision: 0015, after 0014.
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_documents_updated", "documents", ["collection_uid", "updated_at"])


def downgrade() -> None:
    """Take it away."""
    op.drop_index("ix_documents_updated", "documents")
