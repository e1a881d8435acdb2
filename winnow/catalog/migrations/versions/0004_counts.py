"""Counts of documents by state, which triggers keep, in place of the index that they were counted in.

The triggers fire for older replicas as well, while these are being replaced. A document that changes its state adds a
difference: on PostgreSQL to a row of its own transaction, so that no two transactions wait for each other, and the
differences are added up from time to time (``winnow/catalog/table_maintenance.py``); on SQLite, which has one writer,
to one row.

A later migration that has SQLite rebuild ``documents`` must create the triggers again: they go with the table.

Revision: 0004, after 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

# spelled out here, not taken from the tables: a migration must not change when they do
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

# rows that are dead at the head of the queue cost every claim; statistics of a table that was empty cost more
STORAGE = {
    "documents": "autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02",
    "jobs": "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02",
    "document_counts": "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000",
}
ADDED = "SELECT collection_uid, state, 1 AS n, n_chunks AS c FROM added"
REMOVED = "SELECT collection_uid, state, -1 AS n, -n_chunks AS c FROM removed"
CHANGES = {  # event: transition tables, differences
    "insert": ("NEW TABLE AS added", ADDED),
    "delete": ("OLD TABLE AS removed", REMOVED),
    "update": ("OLD TABLE AS removed NEW TABLE AS added", f"{ADDED} UNION ALL {REMOVED}"),
}
MERGE = """
ON CONFLICT (collection_uid, state, part)
DO UPDATE SET
    documents = document_counts.documents + excluded.documents, chunks = document_counts.chunks + excluded.chunks
"""
POSTGRES_FUNCTION = """
CREATE FUNCTION winnow_count_{event}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO document_counts (collection_uid, state, part, documents, chunks)
    SELECT collection_uid, state, txid_current(), sum(n), sum(c) FROM ({differences}) AS differences
    GROUP BY collection_uid, state HAVING sum(n) <> 0 OR sum(c) <> 0
    {merge};
    RETURN NULL;
END $$
"""
POSTGRES_TRIGGER = """
CREATE TRIGGER winnow_count_{event} AFTER {event} ON documents REFERENCING {tables}
FOR EACH STATEMENT EXECUTE FUNCTION winnow_count_{event}()
"""
SQLITE_COUNT = """
    INSERT INTO document_counts (collection_uid, state, part, documents, chunks)
    VALUES ({row}.collection_uid, {row}.state, 0, {sign}1, {sign}{row}.n_chunks) {merge};
"""
CHANGED = "WHEN old.state <> new.state OR old.n_chunks <> new.n_chunks"
SQLITE_EVENTS = {  # event: condition, the rows with their signs
    "insert": ("", {"new": "+"}),
    "delete": ("", {"old": "-"}),
    "update": (CHANGED, {"old": "-", "new": "+"}),
}


def upgrade() -> None:
    """Create the table and the triggers, which keep writers out until the end; then count, and drop the index."""
    postgres = op.get_context().dialect.name == "postgresql"
    op.create_table(
        "document_counts",
        sa.Column("collection_uid", KEY, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("part", sa.BigInteger(), nullable=False),
        sa.Column("documents", sa.BigInteger(), nullable=False),
        sa.Column("chunks", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("collection_uid", "state", "part", name="pk_document_counts"),
    )
    for event in CHANGES:
        _create_postgres_trigger(event) if postgres else _create_sqlite_trigger(event)
    op.execute(
        "INSERT INTO document_counts (collection_uid, state, part, documents, chunks) "
        "SELECT collection_uid, state, 0, count(*), sum(n_chunks) FROM documents GROUP BY collection_uid, state"
    )
    op.drop_index("ix_documents_state", "documents")
    if postgres:
        for table, storage in STORAGE.items():
            op.execute(f"ALTER TABLE {table} SET ({storage})")


def downgrade() -> None:
    """Count in the index again."""
    op.create_index("ix_documents_state", "documents", ["collection_uid", "state", "n_chunks"])
    for event in CHANGES:
        if op.get_context().dialect.name == "postgresql":
            op.execute(f"DROP TRIGGER winnow_count_{event} ON documents")
            op.execute(f"DROP FUNCTION winnow_count_{event}()")
        else:
            op.execute(f"DROP TRIGGER winnow_count_{event}")
    op.drop_table("document_counts")


def _create_postgres_trigger(event: str) -> None:
    tables, differences = CHANGES[event]
    op.execute(POSTGRES_FUNCTION.format(event=event, differences=differences, merge=MERGE))
    op.execute(POSTGRES_TRIGGER.format(event=event, tables=tables))


def _create_sqlite_trigger(event: str) -> None:
    condition, rows = SQLITE_EVENTS[event]
    counts = "".join(SQLITE_COUNT.format(row=row, sign=sign, merge=MERGE) for row, sign in rows.items())
    op.execute(f"CREATE TRIGGER winnow_count_{event} AFTER {event} ON documents {condition} BEGIN {counts} END")
