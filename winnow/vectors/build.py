"""The only map from settings to vector stores."""

from __future__ import annotations

from typing import assert_never

from winnow.core.settings import Settings
from winnow.core.settings.vectors import CustomVectors, EdgeVectors, QdrantVectors
from winnow.ports import VectorStore


def build_store(settings: Settings) -> VectorStore:
    """Open the configured store. An engine's library is loaded only where it is configured.

    Raises:
        DataDirectoryLocked: another process has the vectors open.
        InvalidSettings: the certificates of a server cannot be used, or a custom factory fails.
    """
    match settings.vectors:
        case EdgeVectors():
            from winnow.vectors.edge.store import EdgeVectorStore

            return EdgeVectorStore(settings.data_dir / "vectors", settings.vectors)
        case QdrantVectors():
            from winnow.vectors.qdrant.server import server_client
            from winnow.vectors.qdrant.store import QdrantVectorStore

            return QdrantVectorStore(server_client(settings.vectors), settings.vectors)
        case CustomVectors():
            return settings.vectors.make(VectorStore)
        case unknown:
            assert_never(unknown)
