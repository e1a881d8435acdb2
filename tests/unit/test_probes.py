"""Probes: a good model passes, and each way to be wrong is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from winnow.core.errors import UpstreamRejected, UpstreamUnavailable
from winnow.core.settings.embedding import BundledEmbedding
from winnow.core.types import FloatArray
from winnow.models.bundled.embedder import BundledEmbedder
from winnow.models.bundled.reranker import LateInteractionReranker
from winnow.operations.probes import ProbeReport, ping_embedder, ping_reranker, probe_embedder, probe_reranker
from winnow.ports import EmbeddedQuery, EmbedderInfo, Embeddings, EmbedKind, Finding, Passage, Reranking
from winnow.testing.models import FakeEmbedder, FakeReranker
from winnow.testing.vectors import FakeVectorStore


class BentEmbedder(FakeEmbedder):
    """Gives vectors that were bent on their way."""

    def __init__(self, bend: Callable[[FloatArray], FloatArray], instruct: str = "") -> None:
        super().__init__()
        self._bend = bend
        self._instruct = instruct

    @property
    def info(self) -> EmbedderInfo:
        return replace(super().info, instruct=self._instruct)

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        found = await super().embed(texts, kind, instruct=instruct)
        return replace(found, vectors=self._bend(found.vectors).astype(np.float32))


class BentReranker(FakeReranker):
    """Gives scores that were bent on their way."""

    def __init__(self, bend: Callable[[FloatArray], FloatArray]) -> None:
        self._bend = bend

    async def rerank(
        self, query: EmbeddedQuery, passages: Sequence[Passage], *, instruct: str | None = None
    ) -> Reranking:
        found = await super().rerank(query, passages, instruct=instruct)
        return replace(found, scores=self._bend(found.scores).astype(np.float32))


class Served:
    """What an adapter of a server adds."""

    found: tuple[Finding, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        return ("http://models/v1/rerank",)

    async def ping(self) -> None:
        raise UpstreamUnavailable("nobody listens")

    def each(self) -> dict[str, Any]:
        return {}

    async def self_check(self) -> Sequence[Finding]:
        return self.found


class ServedEmbedder(Served, FakeEmbedder):
    """An embedder behind a server that says of itself what is in ``found``."""


class ServedReranker(Served, FakeReranker):
    """As ``ServedEmbedder``."""


class Raising:
    """Raises whatever is asked of it."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def embed(self, *args: object, **kwargs: object) -> Embeddings:
        raise self._error

    async def rerank(self, *args: object, **kwargs: object) -> Reranking:
        raise self._error


class RaisingEmbedder(Raising, FakeEmbedder):
    """An embedder that fails."""

    __init__ = Raising.__init__

    @property
    def info(self) -> EmbedderInfo:
        return EmbedderInfo("fake", "fake-words", "1", 64, 256)


class RaisingReranker(Raising, FakeReranker):
    """A reranker that fails."""


def checks(report: ProbeReport, *, kind: str | None = None) -> set[str]:
    return {finding.check for finding in report.failed if kind in (None, finding.kind)}


async def test_the_fakes_are_well() -> None:
    for report in (await probe_embedder(FakeEmbedder()), await probe_reranker(FakeReranker())):
        assert report.failed == ()
        assert report.reason is None
        assert {"known answers"} == {finding.check for finding in report.findings if finding.kind == "answers"}


async def test_the_bundled_models_are_well() -> None:
    embedder = BundledEmbedder(BundledEmbedding())
    try:
        assert (await probe_embedder(embedder)).failed == ()
        assert (await probe_reranker(LateInteractionReranker([embedder], FakeVectorStore()))).failed == ()
    finally:
        await embedder.close()


@pytest.mark.parametrize(
    ("bend", "check"),
    [
        (lambda vectors: vectors[:, :32] * 1.0, "dimensions"),
        (lambda vectors: vectors * 3, "unit length"),
        (lambda vectors: vectors * np.nan, "unit length"),
        (lambda vectors: vectors * 0, "unit length"),
        (lambda vectors: np.tile(vectors[0], (len(vectors), 1)), "distinct"),
        (lambda vectors: np.roll(vectors, 1, axis=0), "known answers"),
    ],
)
async def test_a_bent_vector_is_named(bend: Callable[[FloatArray], FloatArray], check: str) -> None:
    report = await probe_embedder(BentEmbedder(bend))
    assert check in checks(report)
    assert all(finding.fix for finding in report.failed)


async def test_only_a_trained_model_is_held_to_known_answers() -> None:
    report = await probe_embedder(BentEmbedder(lambda vectors: np.roll(vectors, 1, axis=0)))
    assert checks(report, kind="structure") == set()


async def test_an_instruct_that_gets_lost_is_named() -> None:
    report = await probe_embedder(BentEmbedder(lambda vectors: vectors, instruct="Find what answers"))
    assert checks(report) == {"instruct"}


async def test_languages_that_the_model_cannot_read_are_not_asked() -> None:
    report = await probe_embedder(FakeEmbedder(unknown=r"[\u3000-\u9fff\uff00-\uffef“”]"))
    assert report.failed == ()
    assert any("average of 2" in finding.seen for finding in report.findings)
    blind = await probe_embedder(FakeEmbedder(unknown=r"[A-Z]|[\u3000-\u9fff\uff00-\uffef“”]|\w"))
    assert blind.failed == ()
    assert ("known answers", "skipped") in {(finding.check, finding.status) for finding in blind.findings}


@pytest.mark.parametrize(
    ("bend", "check"),
    [
        (lambda scores: 1 - scores, "known answers"),
        (lambda scores: 0.5 + scores * 0.01, "known answers"),
        (lambda scores: np.full_like(scores, 0.5), "spread"),
        (lambda scores: scores * 9 - 3, "scores"),
        (lambda scores: scores * np.nan, "scores"),
        (lambda scores: scores if scores.max() < 0.7 else np.full_like(scores, 0.7), "known answers"),
        (lambda scores: np.linspace(0.9, 0.1, len(scores)), "known answers"),
        (lambda scores: np.linspace(0.1, 0.9, len(scores)), "known answers"),
    ],
    ids=[
        "upside down",
        "next to no margin",
        "all equal",
        "logits",
        "not a number",
        "one tie",
        "kept order",
        "reversed order",
    ],
)
async def test_a_bent_score_is_named(bend: Callable[[FloatArray], FloatArray], check: str) -> None:
    report = await probe_reranker(BentReranker(bend))
    assert checks(report) == {check}
    assert all(finding.fix for finding in report.failed)


async def test_a_model_that_is_down_is_out_of_reach() -> None:
    error = UpstreamUnavailable("nobody listens at :8001")
    for report in (
        await probe_embedder(RaisingEmbedder(error)),
        await probe_reranker(RaisingReranker(error)),
    ):
        assert not report.reachable
        assert report.reason == "nobody listens at :8001"


async def test_a_model_that_refuses_is_there_and_wrong() -> None:
    error = UpstreamRejected("the key is not accepted: see WINNOW_RERANK__API_KEY")
    report = await probe_reranker(RaisingReranker(error))
    assert report.reachable
    assert report.reason is not None
    assert "WINNOW_RERANK__API_KEY" in report.reason


async def test_a_defect_is_not_taken_for_an_answer() -> None:
    with pytest.raises(RuntimeError):
        await probe_embedder(RaisingEmbedder(RuntimeError("a bug")))


async def test_what_the_server_says_of_itself_counts() -> None:
    reranker = ServedReranker()
    reranker.found = (Finding("template", "failed", "no template", "start it with one"), Finding("limit", "ok", "8192"))
    report = await probe_reranker(reranker)
    assert report.reason == "no template: start it with one"
    assert (await probe_embedder(ServedEmbedder())).failed == ()


async def test_a_ping_asks_the_server_or_the_model_itself() -> None:
    await ping_embedder(FakeEmbedder())
    await ping_reranker(FakeReranker())
    with pytest.raises(UpstreamUnavailable):
        await ping_embedder(ServedEmbedder())
    with pytest.raises(UpstreamUnavailable):
        await ping_reranker(ServedReranker())
    with pytest.raises(RuntimeError):
        await ping_embedder(RaisingEmbedder(RuntimeError("a bug")))


async def test_a_report_names_the_addresses_that_are_called() -> None:
    assert (await probe_reranker(ServedReranker())).addresses == ("http://models/v1/rerank",)
    assert (await probe_reranker(FakeReranker())).addresses == ()
