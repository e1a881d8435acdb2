"""From a document to its chunks: pure functions."""
