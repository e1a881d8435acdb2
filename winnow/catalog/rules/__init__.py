"""The rules of the ledger: pure functions, apart from SQL."""
