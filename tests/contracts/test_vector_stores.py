"""Every vector store passes the same suite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.stubs import qdrant_server
from tests.support import real_qdrant
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


@pytest.mark.skipif(not real_qdrant.GIVEN, reason="QDRANT_URL names no Qdrant server to test with")
@pytest.mark.parametrize(("prefer_grpc", "quantization"), [(True, "turbo"), (False, "none")])
class TestQdrantServer(VectorStoreContract):
    """A real server, as ``tests.support.real_qdrant`` finds it. Leaves nothing behind."""

    @pytest.fixture
    async def store(self, prefer_grpc: bool, quantization: str) -> AsyncIterator[VectorStore]:
        given = real_qdrant.server_settings(prefer_grpc=prefer_grpc, quantization=quantization)
        settings = QdrantVectors.model_validate(given)
        store = QdrantVectorStore(server_client(settings), settings)
        yield store
        await real_qdrant.remove_indexes(given)
        await store.close()
