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
from typing import Final, NamedTuple

from winnow.core.access import joined, view_of
from winnow.core.acl import DOCUMENT_FIELD, AccessView
from winnow.core.calibration import BEHIND, Answerable
from winnow.core.errors import (
    DeadlineExceeded,
    Upstream,
    UpstreamUnavailable,
    WinnowError,
)
from winnow.core.filters import narrowed
from winnow.core.ids import new_id
from winnow.core.letters import without_unseen
from winnow.core.paging import MOST_RESULTS
from winnow.core.principal import Principal
from winnow.core.search import Candidate, Result, SearchAnswer, SearchRequest, StageReport
from winnow.core.settings import SearchSettings
from winnow.core.types import Collection, Comparison, FloatArray, Index, IndexRef
from winnow.ports import MIN_COVERAGE, ArmHits, EmbeddedQuery, Embedder, Reranker, VectorStore
from winnow.search.answerability import answerable
from winnow.search.cursors import cursor_after
from winnow.search.deep import MOST_HITS, behind, find_deep, first_of, hits_wanted, is_cut
from winnow.search.duplicates import fold_results
from winnow.search.embedders import Embedders
from winnow.search.fusion import fuse
from winnow.search.highlight import Highlighter
from winnow.search.limits import SearchDeadline, check_request
from winnow.search.long_queries import windows_of
from winnow.search.lookup import CollectionLookup, index_asked_for
from winnow.search.query_cache import asked_by
from winnow.search.second_stage import (
    NOTHING_FOUND,
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


class FoundCandidates(NamedTuple):
    """The result of the retrieve stage.

    Attributes:
        candidates: for the second stage, best first.
        rest: what lies behind them, where everything was asked for.
        more: whether there may be results that are in neither.
    """

    candidates: Sequence[Candidate]
    rest: Sequence[Candidate]
    more: bool
    report: StageReport


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
        everything: bool = False,
    ) -> SearchAnswer:
        """Answer one search; ``deadline`` is when it has to be done, by default its budget from now.

        ``retrieved`` is given the first stage's answer before the second begins. With ``everything`` the answer has not
        ``top_n`` results but all, up to ``MOST_RESULTS``, without highlights: the candidates as the second stage orders
        them, then what lies behind them in the first stage's order.

        Raises:
            InvalidQuery: a parameter is out of range.
            Forbidden: the principal may not search.
            CollectionNotFound: the collection does not exist, or the principal does not see it.
            IndexRebuilding: the index was lost, and does not hold all documents again.
            IdentityMismatch: the collection was built with other models than are configured.
            DeadlineExceeded: no candidates were found within the budget.
            WinnowError: retrieval failed, or reranking did and ``on_failure`` is ``fail``.
        """
        deadline = deadline or SearchDeadline(request.budget_ms or self._settings.budget_ms)
        view, collection, index, vector = await self._begin(request, principal, deadline)
        query = partial(self._query, request, view, collection, index.ref)
        found = await self._retrieve(request, query, vector, deadline, everything=everything)
        if retrieved is not None:
            retrieved(_answer(request, unscored(found.candidates, "it follows"), vector.report, found, deadline))
        scored = await self._second.score(request, collection, vector.query, found.candidates, deadline)
        scored, judged = self._judge(collection, index, vector.report, scored)
        whose = view, collection
        return _answer(
            request, scored, vector.report, found, deadline, everything=everything, judged=judged, whose=whose
        )

    async def find(
        self, request: SearchRequest, principal: Principal, documents: Sequence[str], deadline: SearchDeadline
    ) -> tuple[list[Candidate], StageReport, StageReport]:
        """The chunks of these documents that the first stage finds for a search, best first, and the stages' reports.

        Documents that the caller may not see, or that do not match, are not among them.

        Raises:
            WinnowError: as ``run`` does, also where the query cannot be embedded.
        """
        view, collection, index, vector = await self._begin(request, principal, deadline)
        if vector.report.degraded:  # by words alone, some of the documents would not be found
            raise UpstreamUnavailable(f"the query could not be embedded for a further page: {vector.report.reason}")
        among = Comparison("in", DOCUMENT_FIELD, list(documents))
        wanted = replace(request, filter=narrowed(request.filter, among), group_by="chunk")
        query = partial(self._query, wanted, view, collection, index.ref, limit=MOST_HITS)
        began = time.perf_counter()
        hits = await deadline.within(query(vector.dense), stage="retrieve")
        candidates, found = fuse(hits, dense_weight=vector.weight, limit=MOST_HITS, by_document=False)
        details = {"engine": self._store.engine, "candidates": found}
        return candidates, vector.report, StageReport("ok", ms_since(began), details=details)

    async def _begin(
        self, request: SearchRequest, principal: Principal, deadline: SearchDeadline
    ) -> tuple[AccessView, Collection, Index, QueryVector]:
        """Check a search, and embed its query for the index that it is about."""
        principal.require("search", collection=request.collection)
        view = view_of(principal, request.tenant)
        check_request(request, max_top_n=principal.max_top_n)
        collection = await self._collections.get(request.collection)
        # index and embedder follow from one row: an answer never mixes two models, whatever is switched meanwhile
        index = index_asked_for(collection, request)
        with asked_by(view.tenant):
            vector = await self._embed(request, index, self._embedders.of(index), deadline)
        return view, collection, index, vector

    def _judge(
        self, collection: Collection, index: Index, embed: StageReport, scored: Scored
    ) -> tuple[Scored, Answerable | None]:
        """Whether the answer is there, where the collection is calibrated; the stage says why not otherwise."""
        if collection.calibration is None or (scored.kind == "retrieval" and scored.report.reason != NOTHING_FOUND):
            return scored, None
        best = list(islice(scored.results, 1 + BEHIND))
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
        read = without_unseen(request.query) or request.query
        query = EmbeddedQuery(read, None, instruct, embedder, index.ref)
        if request.mode == "sparse":
            return QueryVector(query, StageReport("skipped", reason="mode is sparse", model=info.model))
        began = time.perf_counter()
        try:
            embedding = embedder.embed([read], "query", instruct=instruct)
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
        if parts := await _parts(embedder, read):
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
        *,
        limit: int,
    ) -> ArmHits:
        """Both arms, of documents in the view alone: no other query of a search finds documents."""
        while True:
            hits = await self._store.query(
                index,
                dense=dense,
                text=None if request.mode == "dense" else request.words or request.query,
                name=request.query,
                limit=limit,
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
        query: Callable[..., Awaitable[ArmHits]],
        vector: QueryVector,
        deadline: SearchDeadline,
        *,
        everything: bool,
    ) -> FoundCandidates:
        began, limit, by_document = time.perf_counter(), hits_wanted(request), request.group_by == "document"
        finding = (
            find_deep(partial(query, vector.dense), by_document=by_document)
            if everything
            else query(vector.dense, limit=limit)
        )
        try:
            deep = await deadline.within(finding, stage="retrieve")
        except DeadlineExceeded as error:
            if (silent := ms_since(began) / 1000) < STORE_SILENCE:
                raise
            raise UpstreamUnavailable(f"{self._store.engine} gave no answer within {silent:.2g} s") from error
        hits = first_of(deep, limit) if everything else deep
        used = request.top_k if everything else max(request.top_n, self._second.depth(request))
        fused = partial(fuse, dense_weight=vector.weight, by_document=by_document, weights=request.weights)
        candidates, found = fused(hits, limit=request.top_k, used=used)
        details = {"engine": self._store.engine, "candidates": found}
        if request.explain:
            arms = {"dense": len(hits.dense), "sparse": len(hits.sparse)}
            details["explain"] = {"hits": arms, "dense_weight": vector.weight}
        rest: Sequence[Candidate] = ()
        if everything:
            further, _ = fused(deep, limit=MOST_RESULTS)
            rest = behind(candidates, further, by_document=by_document)
        more = found > len(candidates) or is_cut(hits, limit)
        return FoundCandidates(candidates, rest, more, StageReport("ok", ms_since(began), details=details))


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
    found: FoundCandidates,
    deadline: SearchDeadline,
    *,
    everything: bool = False,
    judged: Answerable | None = None,
    whose: tuple[AccessView, Collection] | None = None,
) -> SearchAnswer:
    """The answer; with ``whose`` it has the cursor of what follows it."""
    results, more = _finish(request, scored, found, everything=everything)
    more = more and request.packing is None
    return SearchAnswer(
        id=new_id("srch"),
        request=request,
        results=results,
        answerable=judged,
        score_kind=scored.kind,
        degraded=embed.degraded or scored.report.degraded,
        embed=embed,
        retrieve=found.report,
        rerank=scored.report,
        took_ms=deadline.spent_ms(),
        next=cursor_after(request, *whose, results) if more and whose is not None else None,
    )


def _finish(
    request: SearchRequest, scored: Scored, found: FoundCandidates, *, everything: bool
) -> tuple[tuple[Result, ...], bool]:
    """Apply the threshold (to relevance only, and not to what the query names), cut to ``top_n``, mark the words.

    Returns:
        The results, and whether there may be more.
    """
    results, floor, more = scored.results, request.min_relevance, found.more
    most = MOST_RESULTS if everything else request.top_n
    if floor is not None and scored.kind == "relevance":
        more = False  # what the second stage did not score has no relevance
        results = (
            each
            for each in results
            if each.candidate.level or (each.relevance_score is not None and each.relevance_score >= floor)
        )
    elif everything:
        start = len(found.candidates) + 1
        results = chain(results, (Result(rank, each, None, None) for rank, each in enumerate(found.rest, start)))
    if request.packing is not None and request.packing.fold_duplicates:
        folded = fold_results(results, lambda each: each, lambda _: request.collection, keep=most)
        results = iter([each._replace(duplicates=duplicates) for each, duplicates in folded])
    best = tuple(islice(results, most))
    more = more or next(results, None) is not None
    return best if everything else highlighted(request, best), more


def highlighted(request: SearchRequest, results: Sequence[Result]) -> tuple[Result, ...]:
    """The results with the words of the query marked, where the request asks for it."""
    if not request.highlight:
        return tuple(results)
    marker = Highlighter(request.query)
    return tuple(each._replace(highlights=marker.spans(each.candidate.chunk.text)) for each in results)
