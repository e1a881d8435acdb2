"""Every reranker behind HTTP passes the contract, in the dialect of every provider."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from retrieval.models.http_reranker import HttpReranker
from retrieval.ports import Reranker
from retrieval.settings.rerank import (
    CohereRerank,
    DashScopeNativeRerank,
    DashScopeRerank,
    HttpRerank,
    JinaRerank,
    TeiRerank,
    VllmRerank,
    WrappedRerank,
)
from tests.contracts.reranker import RerankerContract
from tests.stubs.reranks import ClientTemplateStub, FlatStub, NativeStub, TeiStub
from tests.stubs.server import Handler, serve


class HttpContract(RerankerContract):
    """The contract over a server."""

    server: Handler

    def settings(self, url: str) -> HttpRerank:
        raise NotImplementedError

    @pytest.fixture
    async def reranker(self) -> AsyncIterator[Reranker]:
        async with serve(self.server) as stub:
            reranker = HttpReranker(self.settings(stub.url))
            yield reranker
            await reranker.close()


class TestVllm(HttpContract):
    server = FlatStub(key="k")

    def settings(self, url: str) -> HttpRerank:
        return VllmRerank(url=url, api_key="k")


class TestVllmWithoutTemplate(HttpContract):
    server = ClientTemplateStub()

    def settings(self, url: str) -> HttpRerank:
        return VllmRerank(url=url, template="client")


class TestDashScope(HttpContract):
    server = FlatStub(key="k")

    def settings(self, url: str) -> HttpRerank:
        return DashScopeRerank(url=url, api_key="k")


class TestDashScopeNative(HttpContract):
    server = NativeStub(key="k")

    def settings(self, url: str) -> HttpRerank:
        return DashScopeNativeRerank(url=url, api_key="k")


class TestDashScopeMultimodal(HttpContract):
    server = NativeStub()

    def settings(self, url: str) -> HttpRerank:
        return DashScopeNativeRerank(url=url, model="qwen3-vl-rerank", image_field="image")


class TestWrapped(HttpContract):
    server = FlatStub("output")

    def settings(self, url: str) -> HttpRerank:
        return WrappedRerank(url=url)


class TestJina(HttpContract):
    server = FlatStub()

    def settings(self, url: str) -> HttpRerank:
        return JinaRerank(url=url)


class TestSiliconFlow(HttpContract):
    server = FlatStub("siliconflow")

    def settings(self, url: str) -> HttpRerank:
        return JinaRerank(url=url, model="Qwen/Qwen3-Reranker-8B")


class TestSglang(HttpContract):
    server = FlatStub("list")

    def settings(self, url: str) -> HttpRerank:
        return JinaRerank(url=url, model="Qwen/Qwen3-Reranker-0.6B", instruct_field="instruct")


class TestCohere(HttpContract):
    server = FlatStub("cohere")

    def settings(self, url: str) -> HttpRerank:
        return CohereRerank(url=url)


class TestTei(HttpContract):
    server = TeiStub()

    def settings(self, url: str) -> HttpRerank:
        return TeiRerank(url=url)


class TestTightLimits(HttpContract):
    """Everything is cut, split and halved."""

    server = FlatStub(most=2, longest=600)

    def settings(self, url: str) -> HttpRerank:
        return DashScopeRerank(url=url, max_tokens=128, max_documents=5, max_request_tokens=1000)
