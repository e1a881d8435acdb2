"""Every reranker behind HTTP passes the contract, in the dialect of every provider."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.stubs.rerank_servers import KEY, PROVIDERS, DashScopeStub, Provider
from tests.stubs.server import serve
from winnow.core.settings.rerank import DashScopeRerank
from winnow.models.http.rerank import HttpReranker
from winnow.ports import Remote, Reranker
from winnow.testing.contracts.reranker import RerankerContract

TIGHT = Provider(
    DashScopeStub(max_documents=2, max_request=300),
    DashScopeRerank,
    {"max_tokens": 128, "max_documents": 5, "max_request_tokens": 1000},
)
CASES = {**PROVIDERS, "everything is cut, split and halved": TIGHT}


@pytest.mark.parametrize("provider", CASES.values(), ids=CASES)
class TestHttp(RerankerContract):
    """The contract over a server."""

    @pytest.fixture
    async def reranker(self, provider: Provider) -> AsyncIterator[Reranker]:
        async with serve(provider.server) as stub:
            reranker = HttpReranker(provider.kind(**{"url": stub.url, "api_key": KEY, **provider.settings}))
            yield reranker
            await reranker.close()

    async def test_it_can_be_checked_up(self, reranker: Reranker) -> None:
        assert isinstance(reranker, Remote)
