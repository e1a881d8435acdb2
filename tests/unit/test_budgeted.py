"""Searches of a caller whose tokens are spent, or nearly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.house import House
from winnow.core.errors import RateLimited, TokensSpent
from winnow.core.search import RerankOptions
from winnow.core.types import Document
from winnow.search.budgeted import BudgetedReranker, budget_of
from winnow.testing.models import FakeReranker


class Budget:
    """Has tokens until ``spent`` is set to the error that says there are none."""

    def __init__(self) -> None:
        self.counted = 0
        self.spent: Exception | None = None

    async def require(self) -> None:
        if self.spent is not None:
            raise self.spent

    async def spend(self, tokens: int) -> None:
        self.counted += tokens


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    opened = await House(tmp_path).open()
    opened.reranker = BudgetedReranker(FakeReranker())
    await opened.submit(Document(id="a", text="copy a file"), Document(id="b", text="a file of stone"))
    await opened.work()
    yield opened
    await opened.close()


async def test_what_the_second_stage_reads_is_counted_for_the_caller(house: House) -> None:
    budget = Budget()
    with budget_of(budget):
        answer = await house.search()
        assert budget.counted == answer.rerank.details["tokens"] > 0
    await house.search()
    assert budget.counted == answer.rerank.details["tokens"]  # outside nothing is


async def test_spent_tokens_leave_the_first_stage_and_the_answer_says_so(house: House) -> None:
    budget = Budget()
    budget.spent = TokensSpent("the limit is 100 tokens")
    with budget_of(budget):
        answer = await house.search()
    assert [each.candidate.document_id for each in answer.results]
    assert (answer.degraded, answer.score_kind, answer.rerank.status) == (True, "retrieval", "skipped")
    assert answer.rerank.reason == "tokens are spent: the limit is 100 tokens"
    with budget_of(budget), pytest.raises(TokensSpent):
        await house.search(rerank=RerankOptions(on_failure="fail"))


async def test_spent_tokens_refuse_the_search_where_that_is_configured(house: House) -> None:
    budget = Budget()
    budget.spent = RateLimited("the limit is 100 tokens")
    with budget_of(budget), pytest.raises(RateLimited):
        await house.search()
    with budget_of(budget):
        assert (await house.search(rerank=RerankOptions(enabled=False))).rerank.reason == "not asked for"
