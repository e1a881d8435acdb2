"""A Qdrant server or cluster behind the port ``VectorStore``."""
