"""The rules of the ledger: pure functions, separate from SQL."""
