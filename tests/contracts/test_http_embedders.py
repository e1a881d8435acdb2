"""Every embedder behind HTTP passes the contract, in the dialect of every provider."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.stubs.embeddings import DIMENSIONS, LIMIT, DashScopeNativeStub, DashScopeStub, OpenAIStub, VllmStub
from tests.stubs.server import Handler, serve
from winnow.core.settings.embedding import DashScopeEmbedding, OpenAIEmbedding, VllmEmbedding
from winnow.models.http.embed import HttpEmbedder
from winnow.models.http.embed_dialects import HttpEmbedding
from winnow.ports import Embedder
from winnow.testing.contracts.embedder import EmbedderContract
from winnow.testing.models import WordTokenizer


class HttpContract(EmbedderContract):
    """The contract over a server."""

    server: Handler

    def settings(self, url: str) -> HttpEmbedding:
        raise NotImplementedError

    @pytest.fixture
    async def embedder(self) -> AsyncIterator[Embedder]:
        async with serve(self.server) as stub:
            embedder = HttpEmbedder(self.settings(stub.url), WordTokenizer())
            yield embedder
            await embedder.close()


class TestVllm(HttpContract):
    server = VllmStub(key="k")

    def settings(self, url: str) -> HttpEmbedding:
        return VllmEmbedding(url=url, api_key="k", dimensions=DIMENSIONS, max_tokens=LIMIT + 1)


class TestVllmWithoutMatryoshka(HttpContract):
    server = VllmStub(matryoshka=False)

    def settings(self, url: str) -> HttpEmbedding:
        return VllmEmbedding(url=url, dimensions=DIMENSIONS, max_tokens=LIMIT + 1)


class TestComputeNest(HttpContract):
    server = VllmStub("Qwen3-Embedding-8B", key="k", scheme="raw")

    def settings(self, url: str) -> HttpEmbedding:
        model = "Qwen3-Embedding-8B"
        return VllmEmbedding(
            url=url, api_key="k", auth_scheme="raw", model=model, dimensions=DIMENSIONS, max_tokens=LIMIT + 1
        )


class TestOpenAI(HttpContract):
    server = OpenAIStub(key="k")

    def settings(self, url: str) -> HttpEmbedding:
        return OpenAIEmbedding(url=url, api_key="k", dimensions=DIMENSIONS, max_tokens=LIMIT + 1)


class TestAServerOfOpenAIsShape(HttpContract):
    server = OpenAIStub(model="anything")

    def settings(self, url: str) -> HttpEmbedding:
        return OpenAIEmbedding(url=f"{url}/v1/", model="anything", dimensions=DIMENSIONS, max_tokens=LIMIT + 1)


class TestDashScope(HttpContract):
    server = DashScopeStub(key="k")

    def settings(self, url: str) -> HttpEmbedding:
        return DashScopeEmbedding(url=url, api_key="k", dimensions=DIMENSIONS, max_tokens=LIMIT + 1)


class TestDashScopeNative(HttpContract):
    server = DashScopeNativeStub(key="k")

    def settings(self, url: str) -> HttpEmbedding:
        return DashScopeEmbedding(url=url, api_key="k", api="native", dimensions=DIMENSIONS, max_tokens=LIMIT + 1)
