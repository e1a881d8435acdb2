"""Searches over models that hang, refuse or have too much to do: at once without them, and back when they are well."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.support.house import House
from tests.ticks import Ticks
from winnow.core.errors import DeadlineExceeded, UpstreamSaturated, UpstreamUnavailable
from winnow.core.search import RerankOptions
from winnow.core.types import Document
from winnow.ports import EmbeddedQuery, Embeddings, Passage, RerankerInfo, Reranking
from winnow.search.breaker import FIRST_REST
from winnow.search.guarded_models import GuardedEmbedder, GuardedReranker, ModelGuard
from winnow.search.second_stage import SATURATED
from winnow.testing.models import FakeEmbedder


class Slow:
    """A reranker whose calls end when they are told to."""

    info = RerankerInfo("slow", "slow-1")

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.error: Exception | None = None
        self.calls = 0

    async def rerank(self, query: EmbeddedQuery, passages: Sequence[Passage], **_: Any) -> Reranking:
        self.calls += 1
        if self.error is not None:
            raise self.error
        await self.open.wait()
        return Reranking(np.linspace(0.9, 0.1, len(passages), dtype=np.float32))

    async def close(self) -> None: ...


class Embedder(FakeEmbedder):
    """An embedder that hangs or fails when it is told to."""

    hangs = False
    error: Exception | None = None
    calls = 0

    async def embed(self, *args: Any, **kwargs: Any) -> Embeddings:
        self.calls += 1
        if self.error is not None:
            raise self.error
        if self.hangs:
            await asyncio.Event().wait()
        return await super().embed(*args, **kwargs)


@pytest.fixture
async def house(house: House) -> House:
    await house.submit(*(Document(f"d{each}", f"copy file number {each}") for each in range(4)))
    await house.work()
    return house


@pytest.fixture
def slow(house: House) -> Slow:
    model = Slow()
    house.reranker = GuardedReranker(model)
    return model


def clock_of(guard: ModelGuard) -> Ticks:
    """Have a guard's breaker go by a clock of the test from now on."""
    clock = Ticks()
    guard.breaker._clock = clock
    return clock


async def test_a_saturated_reranker_is_left_out_at_once_and_named(house: House, slow: Slow) -> None:
    guard = house.reranker.guard
    slow.open.set()
    for _ in range(3):
        assert (await house.search()).rerank.status == "ok"
    slow.open.clear()
    guard.queue._forecast.rate, guard.queue._forecast._is_bound = 1.0, False  # a second each
    running = [asyncio.create_task(house.search(budget_ms=60_000)) for _ in range(guard.queue.limit + 5)]
    while guard.queue.waiting < 5:
        await asyncio.sleep(0)
    sent = slow.calls
    answer = await house.search(budget_ms=3000)
    assert (answer.rerank.status, answer.rerank.reason) == ("skipped", SATURATED)
    assert (answer.degraded, answer.score_kind, len(answer.results)) == (True, "retrieval", 4)
    assert slow.calls == sent
    with pytest.raises(UpstreamSaturated) as refused:
        await house.search(budget_ms=3000, rerank=RerankOptions(on_failure="fail"))
    assert refused.value.retry_after
    slow.open.set()
    assert {each.rerank.status for each in await asyncio.gather(*running)} == {"ok"}


async def test_a_reranker_that_hangs_costs_one_search_its_budget_and_the_others_nothing(
    house: House, slow: Slow
) -> None:
    clock = clock_of(house.reranker.guard)
    first = asyncio.create_task(house.search(budget_ms=200))
    while not slow.calls:
        await asyncio.sleep(0)
    clock.now += 1
    assert (await first).rerank.status == "timeout"
    for _ in range(5):
        answer = await house.search(budget_ms=60_000)
        assert (answer.degraded, answer.rerank.status) == (True, "failed")
        assert "left alone" in (answer.rerank.reason or "")
    assert slow.calls == 1
    slow.open.set()
    clock.now += 1.5 * FIRST_REST
    assert (await house.search()).rerank.status == "ok"
    assert (await house.search()).rerank.status == "ok"


async def test_a_reranker_that_refuses_is_tried_again_by_one_call_at_a_time(house: House, slow: Slow) -> None:
    clock = clock_of(house.reranker.guard)
    slow.error = UpstreamUnavailable("nobody listens")
    assert "nobody listens" in ((await house.search()).rerank.reason or "")
    clock.now += 1.5 * FIRST_REST
    slow.error = None
    trial = asyncio.create_task(house.search(budget_ms=60_000))
    while slow.calls < 2:
        await asyncio.sleep(0)
    assert "nobody listens" in ((await house.search(budget_ms=60_000)).rerank.reason or "")
    slow.open.set()
    assert (await trial).rerank.status == "ok"


async def test_an_embedder_that_hangs_costs_a_search_its_share_of_the_budget(house: House) -> None:
    model = Embedder()
    house.embedder = GuardedEmbedder(model)
    clock = clock_of(house.embedder.guard)
    model.hangs = True
    first = asyncio.create_task(house.search(budget_ms=600))
    while not model.calls:
        await asyncio.sleep(0)
    clock.now += 1
    answer = await first
    assert (answer.embed.status, answer.degraded, len(answer.results)) == ("timeout", True, 4)
    assert answer.embed.ms < 600
    assert answer.rerank.status == "ok"
    again = await house.search()
    assert again.embed.status == "failed"
    assert model.calls == 1


async def test_indexing_goes_on_where_searches_leave_the_model_alone(house: House) -> None:
    model = Embedder()
    model.error = UpstreamUnavailable("nobody listens")
    house.embedder = GuardedEmbedder(model)
    assert (await house.search()).embed.status == "failed"
    model.error = None
    assert (await house.search()).embed.status == "failed"
    assert len((await house.embedder.embed(["a text"], "document")).vectors) == 1


async def test_a_dense_search_has_the_whole_budget_for_its_query(house: House) -> None:
    model = Embedder()
    model.hangs = True
    house.embedder = GuardedEmbedder(model)
    with pytest.raises(DeadlineExceeded):
        await house.search(mode="dense", budget_ms=200)
