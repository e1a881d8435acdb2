"""The two stages: order, ties, thresholds, degradation and deadlines, over fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.house import House
from winnow.core.errors import (
    DeadlineExceeded,
    IdentityMismatch,
    InvalidQuery,
    UpstreamRejected,
    UpstreamUnavailable,
)
from winnow.core.exact import exactness_of
from winnow.core.ids import point_id
from winnow.core.search import ArmScore, RerankOptions, SearchAnswer
from winnow.core.types import Chunk, Document
from winnow.ports import EmbeddedQuery, Embeddings, Passage, Point, RerankerInfo, Reranking
from winnow.testing.models import FakeEmbedder, FakeReranker

TEXTS = {
    "copy": "copy a file and keep its timestamps",
    "move": "move a file to another folder",
    "date": "parse a date from a string",
    "tree": "walk a directory tree of files",
}


@pytest.fixture
async def house(house: House) -> House:
    await house.submit(*(Document(name, text) for name, text in TEXTS.items()))
    await house.work()
    return house


class Scripted:
    """A reranker that does as it is told: returns scores, raises, or never ends."""

    info = RerankerInfo("scripted", "scripted-1")

    def __init__(self, scores: Sequence[float] | None = None, error: Exception | None = None) -> None:
        self.scores, self.error = scores, error
        self.seen: list[str] = []

    async def rerank(self, query: EmbeddedQuery, passages: Sequence[Passage], **_: Any) -> Reranking:
        self.seen = [passage.point_id for passage in passages]
        if self.error is not None:
            raise self.error
        if self.scores is None:
            await asyncio.Event().wait()
        return Reranking(np.array(self.scores, dtype=np.float32))

    async def close(self) -> None: ...


def ids(answer: SearchAnswer) -> list[str]:
    return [result.candidate.document_id for result in answer.results]


async def test_results_are_ordered_by_relevance_and_tell_both_stages(house: House) -> None:
    house.reranker = Scripted([0.1, 0.9, 0.5, 0.2])
    answer = await house.search()
    assert answer.score_kind == "relevance"
    assert not answer.degraded
    assert [result.relevance_score for result in answer.results] == pytest.approx([0.9, 0.5, 0.2, 0.1])
    assert [result.candidate.fused.rank for result in answer.results] == [2, 3, 4, 1]
    assert [result.rerank.rank for result in answer.results if result.rerank] == [1, 2, 3, 4]
    assert answer.results[0].candidate.point_id == house.reranker.seen[1]
    assert answer.rerank.details["scored"] == 4


async def test_ties_fall_back_on_the_first_stage(house: House) -> None:
    house.reranker = Scripted([0.5, 0.5, 0.5, 0.5])
    answer = await house.search()
    assert [result.candidate.fused.rank for result in answer.results] == [1, 2, 3, 4]


async def test_the_same_request_gives_the_same_order(house: House) -> None:
    assert ids(await house.search()) == ids(await house.search())


async def test_only_the_head_is_reranked_and_the_rest_follows_unscored(house: House) -> None:
    house.reranker = Scripted([0.1, 0.2])
    answer = await house.search(rerank=RerankOptions(top_k=2))
    assert [result.relevance_score is None for result in answer.results] == [False, False, True, True]
    assert [result.candidate.fused.rank for result in answer.results] == [2, 1, 3, 4]


async def test_the_threshold_applies_to_relevance(house: House) -> None:
    house.reranker = Scripted([0.1, 0.9, 0.5, 0.2])
    assert len((await house.search(min_relevance=0.4)).results) == 2
    house.reranker = Scripted([0.1, 0.9])
    assert len((await house.search(min_relevance=0.05, rerank=RerankOptions(top_k=2))).results) == 2


@pytest.mark.parametrize("mode", ["hybrid", "dense", "sparse"])
@pytest.mark.parametrize("rerank", [True, False])
async def test_what_the_query_names_comes_first_in_every_mode_and_passes_the_threshold(
    house: House, mode: Any, rerank: bool
) -> None:
    await house.submit(Document("guide/moon.md", "an unrelated text", title="Night", metadata={}))
    await house.work()
    house.reranker = Scripted([0.1, 0.9, 0.8, 0.7, 0.6])
    answer = await house.search(
        "MOON", mode=mode, min_relevance=0.75, rerank=RerankOptions(enabled=rerank, top_k=5), top_k=5
    )
    first = answer.results[0]
    assert (first.candidate.document_id, exactness_of(first.candidate.level)) == ("guide/moon.md", "id")
    assert [exactness_of(each.candidate.level) for each in answer.results[1:]] == [None] * (len(answer.results) - 1)
    if rerank and mode == "hybrid":
        assert [round(each.relevance_score or 0, 2) for each in answer.results] == [0.1, 0.9, 0.8]
        assert first.rerank == ArmScore(5, pytest.approx(0.1))


@pytest.mark.parametrize(
    ("reranker", "status"),
    [
        (Scripted(error=UpstreamUnavailable("down")), "failed"),
        (Scripted(), "timeout"),
        (Scripted([0.5]), "failed"),
        (Scripted([float("nan")] * 4), "failed"),
        (Scripted([1.5, 0.2, 0.1, 0.0]), "failed"),
    ],
)
async def test_a_failing_reranker_yields_the_first_stage_and_says_so(
    house: House, reranker: Scripted, status: str
) -> None:
    house.reranker = reranker
    answer = await house.search(budget_ms=300, min_relevance=0.99)
    assert answer.degraded
    assert answer.score_kind == "retrieval"
    assert answer.rerank.status == status
    assert answer.rerank.reason
    assert [result.candidate.fused.rank for result in answer.results] == [1, 2, 3, 4], "thresholds are not applied"
    assert all(result.relevance_score is None for result in answer.results)


@pytest.mark.parametrize(
    ("reranker", "error"),
    [
        (Scripted(error=UpstreamUnavailable("down")), UpstreamUnavailable),
        (Scripted(), DeadlineExceeded),
        (Scripted([0.5]), UpstreamRejected),
    ],
)
async def test_a_caller_may_refuse_a_degraded_answer(house: House, reranker: Scripted, error: type[Exception]) -> None:
    house.reranker = reranker
    with pytest.raises(error):
        await house.search(budget_ms=300, rerank=RerankOptions(on_failure="fail"))


@pytest.mark.parametrize(
    ("options", "reranker", "reason"),
    [
        (RerankOptions(enabled=False), FakeReranker(), "not asked for"),
        (RerankOptions(), None, "no reranker is configured"),
    ],
)
async def test_without_a_second_stage_the_answer_is_not_degraded(
    house: House, options: RerankOptions, reranker: FakeReranker | None, reason: str
) -> None:
    house.reranker = reranker
    answer = await house.search(rerank=options)
    assert (answer.rerank.status, answer.rerank.reason) == ("skipped", reason)
    assert answer.score_kind == "retrieval"
    assert not answer.degraded


class Blind(FakeEmbedder):
    """Knows a given share of every query."""

    coverage = 0.0

    async def embed(self, *args: Any, **kwargs: Any) -> Embeddings:
        embeddings = await super().embed(*args, **kwargs)
        return replace(embeddings, coverage=np.full_like(embeddings.coverage, self.coverage))


async def test_an_embedder_that_cannot_read_the_query_is_left_out_and_named(house: House) -> None:
    house.embedder = Blind()
    answer = await house.search()
    assert answer.embed.status == "skipped"
    assert "0%" in (answer.embed.reason or "")
    assert all(result.candidate.dense is None for result in answer.results)
    assert ids(answer)[0] == "copy"


class Broken(FakeEmbedder):
    async def embed(self, *args: Any, **kwargs: Any) -> Embeddings:
        raise UpstreamUnavailable("embedder is down")


async def test_without_the_embedder_a_hybrid_search_falls_back_on_keywords(house: House) -> None:
    house.embedder = Broken()
    answer = await house.search()
    assert answer.degraded
    assert answer.embed.status == "failed"
    assert ids(answer)[0] == "copy"
    with pytest.raises(UpstreamUnavailable):
        await house.search(mode="dense")


async def test_each_mode_uses_its_arms(house: House) -> None:
    sparse = await house.search(mode="sparse")
    assert sparse.embed.status == "skipped"
    assert all(result.candidate.dense is None for result in sparse.results)
    dense = await house.search(mode="dense")
    assert all(result.candidate.sparse is None for result in dense.results)


async def test_one_answer_never_mixes_two_revisions(house: House) -> None:
    text = "copy a file, second edition"
    (vector,) = (await house.embedder.embed([text], "document")).vectors
    point = Point(point_id(house.collection.uid, "copy", 2, 0), "copy", 2, Chunk(0, 0, len(text), text), dense=vector)
    await house.store.upsert(house.index, [point])
    answer = await house.search(group_by="chunk", top_n=10)
    found = [result.candidate for result in answer.results if result.candidate.document_id == "copy"]
    assert [candidate.revision for candidate in found] == [2]


async def test_a_collection_of_another_model_is_refused(house: House) -> None:
    house.embedder = FakeEmbedder(dimensions=32)
    with pytest.raises(IdentityMismatch, match="dimensions"):
        await house.search()


@pytest.mark.parametrize(
    ("query", "changes", "location"),
    [
        ("  ", {}, "query"),
        ("x" * 10_000, {}, "query"),
        ("\ud800", {}, "query"),
        ("x", {"top_k": 0}, "top_k"),
        ("x", {"top_k": 1001}, "top_k"),
        ("x", {"top_n": 0}, "top_n"),
        ("x", {"top_n": 101, "top_k": 200}, "top_n"),
        ("x", {"top_n": 20, "top_k": 10}, "top_n"),
    ],
)
async def test_a_parameter_out_of_range_is_named(
    house: House, query: str, changes: dict[str, Any], location: str
) -> None:
    with pytest.raises(InvalidQuery) as caught:
        await house.search(query, **changes)
    assert caught.value.location == (location,)


async def test_no_hits_is_an_answer(house: House) -> None:
    answer = await house.search("zzz", mode="sparse")
    assert answer.results == ()
    assert answer.rerank.status == "skipped"
