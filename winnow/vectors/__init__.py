"""The adapters behind the port ``VectorStore``, and the only home of ``qdrant_edge``."""
