"""The two stages: embed the query, retrieve candidates, rerank them, assemble the answer.

One absolute deadline bounds the whole; every stage gets what is left of it and reports what it did. A stage that
fails is declared: without the reranker the first stage's order is returned, without the embedder a hybrid search
falls back on the keyword arm.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import Final

from winnow.core.access import joined, view_of
from winnow.core.acl import AccessView
from winnow.core.calibration import Answerable
from winnow.core.errors import (
    DeadlineExceeded,
    InvalidQuery,
    Upstream,
    UpstreamUnavailable,
    WinnowError,
)
from winnow.core.ids import new_id
from winnow.core.principal import Principal
from winnow.core.search import Candidate, Result, SearchAnswer, SearchRequest, StageReport
from winnow.core.settings import SearchSettings
from winnow.core.types import Collection, FloatArray, Index, IndexRef
from winnow.ports import MIN_COVERAGE, ArmHits, EmbeddedQuery, Embedder, Reranker, VectorStore
from winnow.search.answerability import answerable
from winnow.search.duplicates import fold_results
from winnow.search.embedders import Embedders
from winnow.search.fusion import fuse
from winnow.search.highlight import Highlighter
from winnow.search.limits import SearchDeadline, check_request
from winnow.search.long_queries import windows_of
from winnow.search.lookup import CollectionLookup
from winnow.search.query_cache import asked_by
from winnow.search.second_stage import (
    NOTHING_FOUND,
    SATURATED,
    TOKENS_SPENT,
    Scored,
    SecondStage,
    failed_report,
    ms_since,
    unscored,
)

log = logging.getLogger(__name__)

STORE_SILENCE: Final = 0.5  # seconds after which a store that has not answered is away, and not the budget too short


@dataclass(frozen=True, slots=True)
class QueryVector:
    """The result of the embed stage: the query for the reranker, and the dense arm's vector and weight.

    ``dense`` is ``None`` where the dense arm is left out.
    """

    query: EmbeddedQuery
    report: StageReport
    dense: FloatArray | None = None
    weight: float = 0.0


class TwoStageSearch:
    """Runs searches over the ports; it knows no vendor and no protocol."""

    def __init__(
        self,
        embedders: Embedders,
        store: VectorStore,
        collections: CollectionLookup,
        reranker: Reranker | None,
        settings: SearchSettings,
    ) -> None:
        self._embedders = embedders
        self._store = store
        self._collections = collections
        self._second = SecondStage(reranker, settings.rerank_top_k)
        self._settings = settings

    @property
    def reranker(self) -> Reranker | None:
        """The model of the second stage."""
        return self._second.reranker

    async def run(
        self,
        request: SearchRequest,
        principal: Principal,
        deadline: SearchDeadline | None = None,
        *,
        retrieved: Callable[[SearchAnswer], None] | None = None,
    ) -> SearchAnswer:
        """Answer one search; ``deadline`` is when it has to be done, by default its budget from now.

        ``retrieved`` is given the first stage's answer before the second begins.

        Raises:
            InvalidQuery: a parameter is out of range.
            Forbidden: the principal may not search.
            CollectionNotFound: the collection does not exist, or the principal does not see it.
            IndexRebuilding: the index was lost, and does not hold all documents again.
            IdentityMismatch: the collection was built with other models than are configured.
            DeadlineExceeded: no candidates were found within the budget.
            WinnowError: retrieval failed, or reranking did and ``on_failure`` is ``fail``.
        """
        principal.require("search", collection=request.collection)
        view = view_of(principal, request.tenant)
        check_request(request, max_top_n=principal.max_top_n)
        deadline = deadline or SearchDeadline(request.budget_ms or self._settings.budget_ms)
        collection = await self._collections.get(request.collection)
        # index and embedder follow from one row: an answer never mixes two models, whatever is switched meanwhile
        index = collection.serving if request.index == "serving" else collection.beside
        if index is None:
            raise InvalidQuery(f"collection {collection.name!r} has one index only", location=("index",))
        collection.require_filled(index.generation)
        with asked_by(view.tenant):
            vector = await self._embed(request, index, self._embedders.of(index), deadline)
        query = partial(self._query, request, view, collection, index.ref)
        candidates, found = await self._retrieve(request, query, vector, deadline)
        if retrieved is not None:
            first = unscored(candidates, "it follows")
            retrieved(_answer(request, first, vector.report, found, deadline))
        scored = await self._second.score(request, collection, vector.query, candidates, deadline)
        scored, judged = self._judge(collection, index, vector.report, scored)
        return _answer(request, scored, vector.report, found, deadline, judged=judged)

    def _judge(
        self, collection: Collection, index: Index, embed: StageReport, scored: Scored
    ) -> tuple[Scored, Answerable | None]:
        """Whether the answer is there, where the collection is calibrated; the stage says why not otherwise."""
        if collection.calibration is None or (scored.kind == "retrieval" and scored.report.reason != NOTHING_FOUND):
            return scored, None
        best = list(islice(scored.results, 2))
        judged = answerable(collection.calibration, index, self._second.reranker, embed, best)
        scored = replace(scored, results=chain(best, scored.results))
        if isinstance(judged, str):
            reason = "; ".join(filter(None, (scored.report.reason, judged)))
            return replace(scored, report=replace(scored.report, reason=reason)), None
        return scored, judged

    async def _embed(
        self, request: SearchRequest, index: Index, embedder: Embedder, deadline: SearchDeadline
    ) -> QueryVector:
        info, instruct = embedder.info, request.instruct or index.instruct
        query = EmbeddedQuery(request.query, None, instruct, embedder, index.ref)
        if request.mode == "sparse":
            return QueryVector(query, StageReport("skipped", reason="mode is sparse", model=info.model))
        began = time.perf_counter()
        try:
            embedding = embedder.embed([request.query], "query", instruct=instruct)
            share = self._settings.embed_share if request.mode == "hybrid" else 1.0  # words alone answer the rest
            embedded = await deadline.within(embedding, stage="embed", share=share)
        except WinnowError as error:
            if request.mode == "dense" or not isinstance(error, Upstream | DeadlineExceeded) or not deadline.left():
                raise
            return QueryVector(query, failed_report(error, began, info.model, info.provider))
        # leave the dense arm out, or weigh it down, where the model does not know the query's script or words
        query, ms = replace(query, embeddings=embedded), ms_since(began)
        coverage = float(embedded.coverage[0])
        details = {"cached": embedded.cached, "coverage": round(coverage, 3)}
        reason = f"the embedding model knows {coverage:.0%} of the query's text" if coverage < 1 else None
        if parts := await _parts(embedder, request.query):
            details["parts"] = parts
            long = (
                f"the query is longer than the {info.max_tokens} tokens that the model reads: embedded in {parts} parts"
            )
            reason = f"{reason}; {long}" if reason else long
        if coverage < MIN_COVERAGE and request.mode == "hybrid":
            reason = f"{reason}; searching by keywords alone"
            return QueryVector(query, StageReport("skipped", ms, info.model, info.provider, reason, details))
        report = StageReport("cached" if embedded.cached else "ok", ms, info.model, info.provider, reason, details)
        return QueryVector(query, report, embedded.vectors[0], coverage)

    async def _query(
        self,
        request: SearchRequest,
        view: AccessView,
        collection: Collection,
        index: IndexRef,
        dense: FloatArray | None,
    ) -> ArmHits:
        """Both arms, of documents in the view alone: no other query of a search finds documents."""
        while True:
            hits = await self._store.query(
                index,
                dense=dense,
                text=None if request.mode == "dense" else request.query,
                name=request.query,
                # several chunks of one document collapse into one candidate: look a little deeper
                limit=request.top_k + request.top_k // 2 if request.group_by == "document" else request.top_k,
                filter=joined(view, collection, request.filter),
            )
            latest = await self._collections.get(collection.name)
            latest.require_filled(index.generation)  # it may be empty since a moment ago
            if latest.access == collection.access:
                return hits
            collection = latest  # the first document with a tenant or an access list may have come meanwhile

    async def _retrieve(
        self,
        request: SearchRequest,
        query: Callable[[FloatArray | None], Awaitable[ArmHits]],
        vector: QueryVector,
        deadline: SearchDeadline,
    ) -> tuple[Sequence[Candidate], StageReport]:
        began = time.perf_counter()
        try:
            hits = await deadline.within(query(vector.dense), stage="retrieve")
        except DeadlineExceeded as error:
            if (silent := ms_since(began) / 1000) < STORE_SILENCE:
                raise
            raise UpstreamUnavailable(f"{self._store.engine} gave no answer within {silent:.2g} s") from error
        candidates, found = fuse(
            hits,
            dense_weight=vector.weight,
            limit=request.top_k,
            by_document=request.group_by == "document",
            used=max(request.top_n, self._second.depth(request)),
            weights=request.weights,
        )
        details = {"engine": self._store.engine, "candidates": found}
        if request.explain:
            arms = {"dense": len(hits.dense), "sparse": len(hits.sparse)}
            details["explain"] = {"hits": arms, "dense_weight": vector.weight}
        return candidates, StageReport("ok", ms_since(began), details=details)


async def _parts(embedder: Embedder, query: str) -> int:
    """In how many parts a query is embedded; 0 where it is read at once."""
    if len(query) <= embedder.info.max_tokens:
        return 0
    parts = len(await asyncio.to_thread(windows_of, embedder, query))
    return parts if parts > 1 else 0


def _answer(
    request: SearchRequest,
    scored: Scored,
    embed: StageReport,
    retrieve: StageReport,
    deadline: SearchDeadline,
    *,
    judged: Answerable | None = None,
) -> SearchAnswer:
    return SearchAnswer(
        id=new_id("srch"),
        request=request,
        results=_finish(request, scored),
        answerable=judged,
        score_kind=scored.kind,
        degraded=_lacks_something(embed) or _lacks_something(scored.report),
        embed=embed,
        retrieve=retrieve,
        rerank=scored.report,
        took_ms=deadline.spent_ms(),
    )


def _finish(request: SearchRequest, scored: Scored) -> tuple[Result, ...]:
    """Apply the threshold (to relevance only, and not to what the query names), cut to ``top_n``, mark the words."""
    results, floor = scored.results, request.min_relevance
    if floor is not None and scored.kind == "relevance":
        results = (
            each
            for each in results
            if each.candidate.level or (each.relevance_score is not None and each.relevance_score >= floor)
        )
    if request.packing is not None and request.packing.fold_duplicates:
        folded = fold_results(results, lambda each: each, lambda _: request.collection, keep=request.top_n)
        results = iter([each._replace(duplicates=duplicates) for each, duplicates in folded])
    best = islice(results, request.top_n)
    if not request.highlight:
        return tuple(best)
    marker = Highlighter(request.query)
    return tuple(each._replace(highlights=marker.spans(each.candidate.chunk.text)) for each in best)


def _lacks_something(report: StageReport) -> bool:
    """Whether a stage gave less than it would have with more time or a sound model."""
    reason = report.reason or ""
    return report.status in ("failed", "timeout") or reason == SATURATED or reason.startswith(TOKENS_SPENT)
