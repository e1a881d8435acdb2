"""Issuers of tokens, and the installation's signing keys.

Revision: 0012, after 0011.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "signing_keys",
        sa.Column("kid", KEY, nullable=False),
        sa.Column("private_pem", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
    )
    op.create_table(
        "token_issuers",
        sa.Column("name", KEY, nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_token_issuers"),
    )


def downgrade() -> None:
    """Take them away; no token is valid any more."""
    op.drop_table("token_issuers")
    op.drop_table("signing_keys")
