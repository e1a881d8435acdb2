"""Alembic's entry point: runs over the connection that ``migrate`` hands in, or writes SQL without one."""

from __future__ import annotations

from alembic import context

from winnow.catalog.tables import Base

connection = context.config.attributes.get("connection")

if context.is_offline_mode():
    context.configure(
        dialect_name=context.config.get_main_option("dialect", "postgresql"),
        target_metadata=Base.metadata,
        literal_binds=True,
    )
else:
    # SQLite alters a table by rebuilding it, which batch mode does
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)

with context.begin_transaction():
    context.run_migrations()
