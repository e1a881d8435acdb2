"""The only map from settings to vector stores."""

from __future__ import annotations

from winnow.core.settings import Settings
from winnow.core.settings.vectors import EdgeVectors, QdrantVectors
from winnow.ports import VectorStore


def build_store(settings: Settings) -> VectorStore:
    """Open the configured store. An engine's library is loaded only where it is configured.

    Raises:
        DataDirectoryLocked: another process has the vectors open.
        InvalidSettings: the certificates of a server cannot be used.
    """
    if isinstance(settings.vectors, EdgeVectors):
        from winnow.vectors.edge.store import EdgeVectorStore  # noqa: PLC0415

        return EdgeVectorStore(settings.data_dir / "vectors", settings.vectors)
    if isinstance(settings.vectors, QdrantVectors):
        from winnow.vectors.qdrant.server import connect  # noqa: PLC0415
        from winnow.vectors.qdrant.store import QdrantVectorStore  # noqa: PLC0415

        return QdrantVectorStore(connect(settings.vectors), settings.vectors)
    from winnow.testing.vectors import FakeVectorStore  # noqa: PLC0415

    return FakeVectorStore()
