"""Qdrant Edge, the embedded engine, behind the port ``VectorStore``."""
