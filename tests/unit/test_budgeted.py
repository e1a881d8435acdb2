"""Searches of a caller whose tokens are spent, or nearly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import cast
from unittest.mock import AsyncMock

import pytest

from indexer.worker.claims import ClaimLoop
from tests.support.house import House, Model
from winnow.core.errors import RateLimited, TokensSpent
from winnow.core.principal import Principal
from winnow.core.search import RerankOptions
from winnow.core.settings import IndexingSettings
from winnow.core.settings.limits import LimitSettings, QuotaSettings
from winnow.core.tenancy import qualify_id
from winnow.core.types import Document
from winnow.operations.quotas import LONGEST_PAUSE, Quotas
from winnow.ports import Claim, Finding, Outcome, Remote, WorkQueue
from winnow.search.budgeted import BudgetedReranker, budget_of
from winnow.search.query_cache import CachedEmbedder
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


class Elsewhere(Model):
    """A model behind HTTP, by its checks."""

    addresses = ("http://model.invalid",)

    async def ping(self) -> None:
        """It answers."""

    async def self_check(self) -> Sequence[Finding]:
        return ()

    def each(self) -> Mapping[str, Elsewhere]:
        return {}


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


@pytest.fixture
async def cached() -> AsyncIterator[CachedEmbedder]:
    model = CachedEmbedder(Elsewhere(), size=8)
    assert isinstance(model.uncached, Remote)
    yield model
    await model.close()


async def test_what_an_embedder_elsewhere_reads_is_counted_once_for_the_caller(cached: CachedEmbedder) -> None:
    budget = Budget()
    with budget_of(budget):
        await cached.embed(["copy a file"], "query")
        assert budget.counted == 3
        await cached.embed(["copy a file"], "query")  # is remembered
        await cached.embed(["of stone"], "document")
    assert budget.counted == 5
    await cached.embed(["another one"], "query")
    assert budget.counted == 5


async def test_an_embedder_in_the_process_costs_nothing() -> None:
    budget, model = Budget(), CachedEmbedder(Model(), size=8)
    budget.spent = TokensSpent("the limit is 100 tokens")
    with budget_of(budget):
        await model.embed(["copy a file"], "query")
    assert budget.counted == 0
    await model.close()


async def test_without_tokens_for_the_embedder_a_search_goes_by_keywords_and_says_so(
    house: House, cached: CachedEmbedder
) -> None:
    house.embedder, budget = cached, Budget()
    budget.spent = TokensSpent("the limit is 100 tokens")
    with budget_of(budget):
        answer = await house.search("copy")
        assert [each.candidate.document_id for each in answer.results] == ["a"]
        assert (answer.degraded, answer.embed.status) == (True, "skipped")
        assert answer.embed.reason == "tokens are spent: the limit is 100 tokens"
        with pytest.raises(TokensSpent):
            await house.search("copy", mode="dense")
        budget.spent = RateLimited("the limit is 100 tokens")
        with pytest.raises(RateLimited):
            await house.search("copy")
        budget.spent = None
        assert (await house.search("copy")).embed.status == "ok"


async def test_documents_of_a_tenant_without_tokens_wait_and_say_why_and_others_do_not(
    tmp_path: Path, cached: CachedEmbedder
) -> None:
    quotas = Quotas(LimitSettings(tenant=QuotaSettings(tokens_per_day=4)))
    house = await House(tmp_path, embedder=cached, quotas=quotas).open()
    first = await house.submit(Document(qualify_id("acme", "a"), "one two three four"))
    await house.work()
    assert (await house.catalog.jobs.get(first)).status == "done"
    waits = await house.submit(Document(qualify_id("acme", "b"), "five six"))
    other = await house.submit(Document(qualify_id("globex", "b"), "five six"), Document("b", "seven eight nine"))
    await house.work()
    assert (await house.catalog.jobs.get(other)).status == "done"
    job = await house.catalog.jobs.get(waits)
    assert (job.status, job.failed) == ("pending", 0)
    assert job.waits_for is not None
    assert job.waits_for.startswith("the tokens of tenant 'acme' are spent: the limit is 4 tokens in 24 hours")
    with pytest.raises(RateLimited):
        await quotas.require_tokens(Principal("key", "wnw_anna", tenant="acme"))  # one budget for both
    for pipeline in (house.pipeline, house.worker._pipeline):
        pipeline._quotas = None  # a day later
    house.clock.now += timedelta(seconds=LONGEST_PAUSE + 1)
    await house.work()
    done = await house.catalog.jobs.get(waits)
    assert (done.status, done.indexed, done.waits_for) == ("done", 1, None)
    await house.close()
    await quotas.close()


async def test_a_worker_goes_on_while_documents_of_a_tenant_wait_for_tokens() -> None:
    pauses = await paused(error_code=TokensSpent.code)
    assert pauses == []
    assert await paused(error_code="upstream_unavailable") == [True]


async def paused(*, error_code: str) -> list[bool]:
    """The pauses of a loop, by whether something was down, after a batch of one that waits."""
    pauses: list[bool] = []

    async def pause(_: float, *, down: bool) -> None:
        pauses.append(down)

    claim = Claim("c", "index", Document("a", "text"), 1, 1)
    loop = ClaimLoop(
        queue=cast("WorkQueue", OneClaim(claim)),
        owner="w",
        settings=IndexingSettings(),
        limit=1,
        carry_out=AsyncMock(return_value=[Outcome(claim, error="no", error_code=error_code, retry_in=1, waited=True)]),
        refill=AsyncMock(return_value=0),
        pause=pause,
    )
    await loop.step()
    return pauses


class OneClaim:
    """A queue with one claim."""

    def __init__(self, claim: Claim) -> None:
        self.claim = AsyncMock(return_value=[claim])
        self.renew = AsyncMock(return_value=None)
