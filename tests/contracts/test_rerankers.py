"""Every reranker passes the contract."""

from __future__ import annotations

import pytest

from retrieval.models.fakes import FakeReranker
from retrieval.ports import Reranker
from tests.contracts.reranker import RerankerContract


class TestFake(RerankerContract):
    @pytest.fixture
    def reranker(self) -> Reranker:
        return FakeReranker()
