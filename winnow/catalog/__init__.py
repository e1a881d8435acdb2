"""Documents and the ledger of work: SQLite or PostgreSQL through SQLModel, and a fake in memory."""
