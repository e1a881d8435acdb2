"""The only map from settings to vector stores."""

from __future__ import annotations

from retrieval.ports import VectorStore
from retrieval.settings import Settings
from retrieval.settings.vectors import EdgeVectors, QdrantVectors


def build_store(settings: Settings) -> VectorStore:
    """Open the configured store. An engine's library is loaded only where it is configured.

    Raises:
        DataDirectoryLocked: another process has the vectors open.
        InvalidSettings: the certificates of a server cannot be used.
    """
    if isinstance(settings.vectors, EdgeVectors):
        from retrieval.vectors.edge import EdgeVectorStore  # noqa: PLC0415

        return EdgeVectorStore(settings.data_dir / "vectors", settings.vectors)
    if isinstance(settings.vectors, QdrantVectors):
        from retrieval.vectors.qdrant import QdrantVectorStore  # noqa: PLC0415
        from retrieval.vectors.qdrant_server import connect  # noqa: PLC0415

        return QdrantVectorStore(connect(settings.vectors), settings.vectors)
    from retrieval.vectors.fake import FakeVectorStore  # noqa: PLC0415

    return FakeVectorStore()
