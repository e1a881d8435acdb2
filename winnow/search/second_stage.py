"""The second stage: a reranker scores the best candidates of the first, or the first stage's order is kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from winnow.core.errors import DeadlineExceeded, TokensSpent, Upstream, UpstreamSaturated, WinnowError
from winnow.core.search import ArmScore, Candidate, Result, ScoreKind, SearchRequest, StageReport
from winnow.core.types import Collection
from winnow.ports import EmbeddedQuery, Passage, Reranker
from winnow.search.breaker import LeftAlone
from winnow.search.limits import SearchDeadline
from winnow.search.sound_scores import sound_scores

log = logging.getLogger(__name__)

NOTHING_FOUND: Final = "no candidates"
SATURATED: Final = "saturated"  # reason of a stage whose model has more calls than it can answer in time


@dataclass(frozen=True, slots=True)
class Scored:
    """The result of the rerank stage: results in their final order, made when taken, and the kind of their scores."""

    results: Iterator[Result]
    kind: ScoreKind
    report: StageReport


class SecondStage:
    """Scores candidates with a reranker, where there is one.

    Args:
        depth: how many candidates are scored where the request names no number.
    """

    def __init__(self, reranker: Reranker | None, depth: int) -> None:
        self.reranker = reranker
        self._default_depth = depth

    def depth(self, request: SearchRequest) -> int:
        """How many candidates the second stage scores."""
        if self.reranker is None or not request.rerank.enabled:
            return 0
        return request.rerank.top_k or self._default_depth

    async def score(
        self,
        request: SearchRequest,
        collection: Collection,
        query: EmbeddedQuery,
        candidates: Sequence[Candidate],
        deadline: SearchDeadline,
    ) -> Scored:
        reranker, options = self.reranker, request.rerank
        why = _why_unscored(reranker, options.enabled, query, candidates)
        if reranker is None or why is not None:
            if request.min_relevance is not None and candidates:
                why = f"{why}; min_relevance was not applied: it is a threshold for scores of the second stage"
            return unscored(candidates, why)
        info = reranker.info
        head = candidates[: self.depth(request)]
        passages = [Passage(each.chunk, each.title, each.metadata, each.point_id) for each in head]
        instruct = options.instruct or request.instruct or collection.rerank_instruct
        began = time.perf_counter()
        try:
            reranking = await deadline.within(reranker.rerank(query, passages, instruct=instruct), stage="rerank")
            scores = sound_scores(reranking.scores, len(head), info.provider)
        except (Upstream, DeadlineExceeded) as error:
            if options.on_failure == "fail":
                raise
            if not isinstance(error, UpstreamSaturated | LeftAlone | TokensSpent):  # these come by the thousand
                log.warning("rerank failed, returning the first stage's order: %s", error.message)
            return Scored(
                _in_first_order(candidates), "retrieval", failed_report(error, began, info.model, info.provider)
            )
        details = {"scored": len(head), "tokens": reranking.tokens}
        model = reranking.model or info.model
        report = StageReport("ok", ms_since(began), model, info.provider, reranking.reason, details)
        return Scored(_in_second_order(candidates, scores), "relevance", report)


def unscored(candidates: Sequence[Candidate], why: str | None) -> Scored:
    """The candidates in the order of the first stage, and why the second did not score them."""
    return Scored(_in_first_order(candidates), "retrieval", StageReport("skipped", reason=why))


def _why_unscored(
    reranker: Reranker | None, wanted: bool, query: EmbeddedQuery, candidates: Sequence[Candidate]
) -> str | None:
    """Why the second stage scores nothing; ``None`` where it does."""
    if not candidates:
        return NOTHING_FOUND
    if reranker is None:
        return "no reranker is configured"
    if not wanted:
        return "not asked for"
    if query.embedder is not None and reranker.info.needs_tokens and not query.embedder.info.token_dimensions:
        return f"the {reranker.info.provider} reranker needs token vectors, which {query.embedder.info.model} has not"
    return None


def _in_first_order(candidates: Sequence[Candidate]) -> Iterator[Result]:
    return (Result(rank, candidate, None, None) for rank, candidate in enumerate(candidates, 1))


def _in_second_order(candidates: Sequence[Candidate], scores: Sequence[float]) -> Iterator[Result]:
    """What the query names, the most exact level first; scored candidates by score, ties in the first stage's order;
    then the others in that order.
    """
    by_score = sorted(zip(candidates, scores, strict=False), key=lambda pair: -pair[1])
    head = [(item, ArmScore(rank, score)) for rank, (item, score) in enumerate(by_score, 1)]
    head.sort(key=lambda pair: -pair[0].level)
    for rank, (item, place) in enumerate(head, 1):
        yield Result(rank, item, place.score, place)
    for rank, item in enumerate(candidates[len(head) :], len(head) + 1):
        yield Result(rank, item, None, None)


def failed_report(error: WinnowError, began: float, model: str, provider: str) -> StageReport:
    """The report of a stage whose model failed, was too slow, or had more calls than it can answer."""
    report = StageReport("failed", ms_since(began), model, provider, error.message, degraded=True)
    if isinstance(error, UpstreamSaturated):
        return replace(report, status="skipped", reason=SATURATED)
    if isinstance(error, TokensSpent):
        return replace(report, status="skipped", reason=f"tokens are spent: {error.message}")
    return replace(report, status="timeout") if isinstance(error, DeadlineExceeded) else report


def ms_since(began: float) -> float:
    """Milliseconds since ``began``, a reading of ``time.perf_counter``."""
    return (time.perf_counter() - began) * 1000
