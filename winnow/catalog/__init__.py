"""Documents and the ledger of work: SQLite or PostgreSQL through SQLModel."""
