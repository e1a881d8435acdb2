"""The index of names behind instant searches: Tantivy, in memory."""
