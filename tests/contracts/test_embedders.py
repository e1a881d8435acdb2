"""Every embedder passes the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from winnow.core.settings.embedding import BundledEmbedding
from winnow.models.bundled.embedder import BundledEmbedder, deferred_embedder
from winnow.ports import Embedder
from winnow.search.query_cache import CachedEmbedder
from winnow.testing.contracts.embedder import EmbedderContract
from winnow.testing.models import FakeEmbedder


class TestFake(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return FakeEmbedder()


class TestBundled(EmbedderContract):
    settings = BundledEmbedding(threads=1)

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls) -> Iterator[Embedder]:
        embedder = BundledEmbedder(cls.settings)
        yield embedder
        asyncio.run(embedder.close())

    @pytest.fixture
    def closable(self) -> Embedder:
        return BundledEmbedder(self.settings)


class TestBundledInFloat32(TestBundled):
    settings = BundledEmbedding(precision="float32", threads=1)


class TestBundledMultilingual(TestBundled):
    settings = BundledEmbedding(model="multilingual", threads=1)


class TestBundledMultilingualDeferred(TestBundled):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return deferred_embedder(BundledEmbedding(model="multilingual", threads=1))

    @pytest.fixture
    def closable(self) -> Embedder:
        return deferred_embedder(BundledEmbedding(threads=1))


class TestCached(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return CachedEmbedder(FakeEmbedder(), size=16)


class TestUncached(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return CachedEmbedder(FakeEmbedder(), size=0)
