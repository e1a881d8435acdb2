"""Every vector store passes the same suite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from vector_store import VectorStoreContract

from retrieval.ports import VectorStore
from retrieval.settings.vectors import EdgeVectors
from retrieval.vectors.edge import EdgeVectorStore
from retrieval.vectors.fake import FakeVectorStore


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
