"""Every reranker passes the contract."""

from __future__ import annotations

import pytest

from winnow.ports import Reranker
from winnow.testing.contracts.reranker import RerankerContract
from winnow.testing.models import FakeReranker


class TestFake(RerankerContract):
    @pytest.fixture
    def reranker(self) -> Reranker:
        return FakeReranker()
