"""What visitors do: searches, clicks and conversions.

Revision: 0020, after 0019.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)
TABLES = ("analytics_searches", "analytics_events")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "analytics_searches",
        sa.Column("id", KEY, nullable=False),
        sa.Column("collection_uid", KEY, nullable=False),
        sa.Column("tenant", KEY, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("day", KEY, nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("folded", KEY, nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("speed", sa.String(), nullable=False),
        sa.Column("shown", sa.JSON(), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("took_ms", sa.Double(), nullable=False),
        sa.Column("degraded", sa.Boolean(), nullable=False),
        sa.Column("session", KEY, nullable=False),
        sa.Column("audience", KEY, nullable=False),
        sa.Column("replaced_by", KEY, nullable=True),
        _of_collection("analytics_searches"),
        sa.PrimaryKeyConstraint("id", name="pk_analytics_searches"),
    )
    op.create_table(
        "analytics_events",
        sa.Column("search_id", KEY, nullable=False),
        sa.Column("document_id", KEY, nullable=False),
        sa.Column("type", KEY, nullable=False),
        sa.Column("collection_uid", KEY, nullable=False),
        sa.Column("tenant", KEY, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("day", KEY, nullable=False),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("session", KEY, nullable=False),
        _of_collection("analytics_events"),
        sa.PrimaryKeyConstraint("search_id", "document_id", "type", name="pk_analytics_events"),
    )
    op.create_index("ix_analytics_searches_replaced_by", "analytics_searches", ["replaced_by"])
    for table in TABLES:
        op.create_index(f"ix_{table}_collection", table, ["collection_uid", "at"])
        op.create_index(f"ix_{table}_session", table, ["session", "at"])
        op.create_index(f"ix_{table}_at", table, ["at"])


def downgrade() -> None:
    """Take them away, with what they hold."""
    for table in TABLES:
        op.drop_table(table)


def _of_collection(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_collection_uid_collections"
    return sa.ForeignKeyConstraint(["collection_uid"], ["collections.uid"], name=name, ondelete="CASCADE")
