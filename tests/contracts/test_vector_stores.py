"""Every vector store passes the same suite."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.stubs import qdrant_server
from winnow.core.settings.vectors import EdgeVectors, QdrantVectors
from winnow.ports import VectorStore
from winnow.testing.contracts.vector_store import VectorStoreContract
from winnow.testing.vectors import FakeVectorStore
from winnow.vectors.edge.store import EdgeVectorStore
from winnow.vectors.qdrant.server import server_client
from winnow.vectors.qdrant.store import QdrantVectorStore


class TestFake(VectorStoreContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[VectorStore]:
        store = FakeVectorStore()
        yield store
        await store.close()


class TestEdge(VectorStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[VectorStore]:
        store = EdgeVectorStore(tmp_path / "vectors", EdgeVectors())
        yield store
        await store.close()


class TestQdrantOverGrpc(VectorStoreContract):
    """Behind a real channel stands the client's in-memory mode."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[VectorStore]:
        async with qdrant_server.serve() as server:
            settings = QdrantVectors(url=server.url, grpc_port=server.grpc_port)
            store = QdrantVectorStore(server_client(settings), settings)
            yield store
            await store.close()


class TestQdrantOverHttp(VectorStoreContract):
    """The same without gRPC."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[VectorStore]:
        async with qdrant_server.serve() as server:
            settings = QdrantVectors(url=server.url, prefer_grpc=False)
            store = QdrantVectorStore(server_client(settings), settings)
            yield store
            await store.close()


@pytest.mark.skipif("QDRANT_URL" not in os.environ, reason="QDRANT_URL names no Qdrant server to test with")
@pytest.mark.parametrize(("prefer_grpc", "quantization"), [(True, "turbo"), (False, "none")])
class TestQdrantServer(VectorStoreContract):
    """A real server: ``QDRANT_URL``, and ``QDRANT_API_KEY`` where it asks for one. Leaves nothing behind."""

    @pytest.fixture
    async def store(self, prefer_grpc: bool, quantization: str) -> AsyncIterator[VectorStore]:
        settings = QdrantVectors.model_validate(
            {
                "url": os.environ["QDRANT_URL"],
                "api_key": os.environ.get("QDRANT_API_KEY", ""),
                "prefer_grpc": prefer_grpc,
                "quantization": quantization,
                "prefix": f"test-{uuid.uuid4().hex[:12]}",
            }
        )
        store = QdrantVectorStore(server_client(settings), settings)
        yield store
        cleaner = QdrantVectorStore(server_client(settings), settings)
        for index in await cleaner.indexes():
            await cleaner.drop(index)
        await cleaner.close()
        await store.close()
