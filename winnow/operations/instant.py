"""Instant searches: names that match what was typed so far, found without a model.

What the index of names finds is read from the vector store before it is shown: what is not there any more, was changed
meanwhile, or may not be seen by the caller is left out. Where no name matches, the keyword arm answers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from winnow.core.access import joined, sees_all_tenants, view_of
from winnow.core.acl import DOCUMENT_FIELD, AccessRules, AccessView
from winnow.core.errors import UpstreamUnavailable
from winnow.core.exact import folded_name, level_of_name
from winnow.core.facets import check_facets
from winnow.core.filters import matches, narrowed
from winnow.core.ids import new_id
from winnow.core.principal import Principal
from winnow.core.search import (
    ArmScore,
    Candidate,
    RerankOptions,
    Result,
    SearchAnswer,
    SearchRequest,
    StageReport,
)
from winnow.core.tenancy import plain_id
from winnow.core.typed import TypedQuery, other_wordings, typed_query
from winnow.core.types import Collection, Comparison, Filter, IndexRef, JsonValue
from winnow.operations.name_indexes import NameIndex
from winnow.operations.resources import Resources
from winnow.ports import FoundName, Point, VectorStore
from winnow.search.acting_rules import ActingRules
from winnow.search.limits import SearchDeadline, check_request
from winnow.search.lookup import index_asked_for
from winnow.search.two_stage import highlighted

LOOKED_AT: Final = 64  # entries for ten results: some lead to one document, or are not there any more
MOST_LOOKED_AT: Final = 4096
_HALF: Final = 10.0  # score of an entry that is shown as 0.5
_SKIPPED: Final = "mode is instant"


async def search_instant(
    resources: Resources,
    principal: Principal,
    request: SearchRequest,
    deadline: SearchDeadline,
    acting: ActingRules | None = None,
) -> SearchAnswer:
    """Answer a search of mode ``instant``; ``acting`` are the collection's rules on its words.

    Raises:
        WinnowError: as ``TwoStageSearch.run`` does.
    """
    principal.require("search", collection=request.collection)
    view = view_of(principal, request.tenant)
    check_request(request, max_top_n=principal.max_top_n)
    collection = await resources.collections.get(request.collection)
    index = index_asked_for(collection, request)
    wordings = wordings_of(request.query, acting)
    if not wordings:
        return await _by_keywords(resources, principal, request, deadline, "the query is not the name of anything")
    names = resources.names.of(index.ref, collection.name)
    if not names.is_current and not await deadline.within(names.is_ready(), stage="retrieve"):
        why = "the index of names is being read"
        if sees_all_tenants(principal):
            counts = await resources.catalog.documents.counts(collection.name)
            why = f"{why}: {names.done:,} of {counts.documents:,} documents"
        return replace(await _by_keywords(resources, principal, request, deadline, why), degraded=True)
    allowed = allowed_names(names, collection, view, request.filter)
    began = time.perf_counter()
    finding = _find(resources.store, names, wordings, request, allowed)
    candidates, details = await deadline.within(finding, stage="retrieve")
    if not candidates:
        return await _by_keywords(resources, principal, request, deadline, "no name matches")
    report = StageReport("ok", (time.perf_counter() - began) * 1000, details=details)
    return _answer(request, candidates, report, deadline)


async def browse(
    resources: Resources, principal: Principal, request: SearchRequest, deadline: SearchDeadline
) -> SearchAnswer:
    """The documents that pass a filter, by title, each with its first chunk: what a search box shows before a query.

    The query of the request is left aside. ``retrieve.details`` has their number, ``documents``, unless a
    range is among the conditions.

    Raises:
        WinnowError: as ``search_instant`` does.
    """
    principal.require("search", collection=request.collection)
    view = view_of(principal, request.tenant)
    check_request(replace(request, query="*"), max_top_n=principal.max_top_n)
    collection = await resources.collections.get(request.collection)
    names = resources.names.of(collection.serving.ref, collection.name)
    if not await names.is_ready(deadline.left() / 2):
        raise UpstreamUnavailable(f"the index of names of {collection.name!r} is being read; try again", retry_after=1)
    allowed, began = allowed_names(names, collection, view, request.filter), time.perf_counter()
    candidates, details = await deadline.within(_find(resources.store, names, (), request, allowed), stage="retrieve")
    facets = None
    if request.facets is not None:
        check_facets(request.facets, collection.fields)
        counting = resources.facets.count(collection, view, request.facets, text=None, filter=request.filter)
        facets = await deadline.within(counting, stage="facets")
    report = StageReport("ok", (time.perf_counter() - began) * 1000, details=details)
    return replace(_answer(request, candidates, report, deadline), facets=facets)


async def first_chunks(
    resources: Resources,
    principal: Principal,
    request: SearchRequest,
    documents: Sequence[str],
    deadline: SearchDeadline,
) -> list[Candidate]:
    """The first chunks of these documents, of those that the caller sees and the search's filter passes; by no model.

    Raises:
        UpstreamUnavailable: the names of the collection are still being read.
        WinnowError: as ``search_instant`` does.
    """
    collection = await resources.collections.get(request.collection)
    names = resources.names.of(index_asked_for(collection, request).ref, collection.name)
    if not await deadline.within(names.is_ready(), stage="retrieve"):
        raise UpstreamUnavailable("the index of names is being read")
    among = narrowed(request.filter, Comparison("in", DOCUMENT_FIELD, list(documents)))
    allowed = allowed_names(names, collection, view_of(principal, request.tenant), among)
    wanted = replace(request, top_n=len(documents), group_by="document")
    found, _ = await deadline.within(_find(resources.store, names, (), wanted, allowed), stage="retrieve")
    return found


def wordings_of(text: str, acting: ActingRules | None) -> list[TypedQuery]:
    """What was typed, then what the rules of the collection make of it; empty where it is the name of nothing."""
    if acting is None:
        typed = typed_query(text)
        return [] if typed is None else [typed]
    typed = typed_query(text, acting.stopped)
    return [] if typed is None else [typed, *other_wordings(text, acting.wordings, acting.stopped)]


def allowed_names(
    names: NameIndex, collection: Collection, view: AccessView, wanted: Filter | None = None
) -> Filter | None:
    """The filter that names in a view pass: what the index has seen of access counts, however old the lookup is."""
    if names.has_access and not collection.access.in_use:
        collection = replace(collection, access=AccessRules(collection.access.default, in_use=True))
    return joined(view, collection, wanted)


async def _find(
    store: VectorStore,
    names: NameIndex,
    wordings: Sequence[TypedQuery],
    request: SearchRequest,
    allowed: Filter | None,
) -> tuple[list[Candidate], dict[str, JsonValue]]:
    """The candidates, looked for deeper and deeper while too few of what was found may be shown."""
    limit, by_document = max(LOOKED_AT, 2 * request.top_n), request.group_by == "document"
    while True:
        found = names.names.find(wordings, allowed, limit=limit, wanted=request.top_n, by_document=by_document)
        shown = await names_to_show(store, names.ref, found.names, allowed, request.top_n)
        if len(shown) >= request.top_n or not found.is_cut or limit >= MOST_LOOKED_AT:
            break
        limit *= 4
    query = folded_name(request.query)
    candidates = [_candidate(query, rank, each.score, point) for rank, (each, point) in enumerate(shown, 1)]
    details: dict[str, JsonValue] = {
        "engine": names.names.engine,
        "candidates": found.matching,
        "forgiving": found.forgiving,
    }
    if not wordings and found.exact:
        details["documents"] = found.matching
    if found.is_cut and len(shown) < request.top_n:
        details["looked_at"] = limit
    return candidates, details


async def names_to_show(
    store: VectorStore, ref: IndexRef, names: Sequence[FoundName], allowed: Filter | None, wanted: int
) -> list[tuple[FoundName, Point]]:
    """Names with their chunks as they are stored now; those that changed since, or may not be seen, are left out."""
    shown: list[tuple[FoundName, Point]] = []
    for begin in range(0, len(names), wanted):
        some = names[begin : begin + wanted]
        points = await store.read(ref, [each.point_id for each in some])
        for each in some:
            point = points.get(each.point_id)
            if point is None or point.revision != each.revision:
                continue
            if allowed is None or matches(
                allowed, {**point.metadata, **each.access, DOCUMENT_FIELD: point.document_id}
            ):
                shown.append((each, point))
        if len(shown) >= wanted:
            break
    return shown[:wanted]


def _candidate(query: str, rank: int, score: float, point: Point) -> Candidate:
    level = level_of_name(query, plain_id(point.document_id), point.title, point.chunk.headings)
    return Candidate(
        point.id,
        point.document_id,
        point.revision,
        point.chunk,
        point.title,
        point.url,
        point.metadata,
        None,
        None,
        ArmScore(rank, score / (score + _HALF)),
        level,
    )


def _answer(
    request: SearchRequest,
    candidates: Sequence[Candidate],
    retrieve: StageReport,
    deadline: SearchDeadline,
) -> SearchAnswer:
    results = [Result(rank, each, None, None) for rank, each in enumerate(candidates, 1)]
    why = _SKIPPED
    if request.min_relevance is not None:
        why += "; min_relevance was not applied: it is a threshold for scores of the second stage"
    return SearchAnswer(
        id=new_id("srch"),
        request=request,
        results=highlighted(request, results),
        score_kind="retrieval",
        degraded=False,
        embed=StageReport("skipped", reason=_SKIPPED),
        retrieve=retrieve,
        rerank=StageReport("skipped", reason=why),
        took_ms=deadline.spent_ms(),
        speed="instant",
    )


async def _by_keywords(
    resources: Resources, principal: Principal, request: SearchRequest, deadline: SearchDeadline, why: str
) -> SearchAnswer:
    """The keyword arm's answer, which takes no model either."""
    plain = replace(request, mode="sparse", rerank=RerankOptions(enabled=False))
    answer = await resources.search.run(plain, principal, deadline)
    return replace(
        answer,
        request=request,
        speed="instant",
        embed=replace(answer.embed, reason=_SKIPPED),
        retrieve=replace(answer.retrieve, reason=f"{why}: answered by keywords"),
    )
