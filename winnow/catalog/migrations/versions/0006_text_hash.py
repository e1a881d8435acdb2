"""A hash of title and text beside the content, by which a document that moved finds the chunks of its former id.

Contents that were stored before have none: what moves of them is embedded once more.

Revision: 0006, after 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column and its index."""
    op.add_column("contents", sa.Column("text_hash", sa.String()))
    op.create_index("ix_contents_text_hash", "contents", ["collection_uid", "text_hash"])


def downgrade() -> None:
    """Take them away."""
    op.drop_index("ix_contents_text_hash", "contents")
    op.drop_column("contents", "text_hash")
