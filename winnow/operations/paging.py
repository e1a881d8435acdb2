"""Further pages of a search: what follows the first one is ranked once, kept for a while, and cut into pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from winnow.core.access import view_of
from winnow.core.errors import CursorExpired, InvalidQuery
from winnow.core.ids import new_id
from winnow.core.paging import MOST_RESULTS, Cursor, later_cursor, read_cursor
from winnow.core.principal import Principal
from winnow.core.search import Candidate, Result, SearchAnswer, SearchRequest, StageReport
from winnow.operations.resources import Resources
from winnow.search.cursors import KeptList, KeptResult, kept, key_of, packed_list, request_digest, unpacked_list
from winnow.search.limits import SearchDeadline
from winnow.search.two_stage import highlighted

KEPT_MINUTES: Final = 15
_AHEAD: Final = 10  # documents that are looked up beyond a page, since some may be gone


async def further_page(
    resources: Resources, principal: Principal, request: SearchRequest, text: str, deadline: SearchDeadline
) -> SearchAnswer:
    """The page that a cursor leads to. No result of an earlier page is on it.

    Raises:
        InvalidQuery: the cursor is not whole, or continues another request.
        CursorExpired: the list of results is no longer kept.
        WinnowError: as ``TwoStageSearch.run`` does.
    """
    principal.require("search", collection=request.collection)
    cursor, view = read_cursor(text), view_of(principal, request.tenant)
    collection = await resources.collections.get(request.collection)
    if cursor.digest != request_digest(request, view, collection):
        raise InvalidQuery(
            "the cursor continues another request: repeat the request that it came with, with nothing changed but "
            "top_n, highlight, return_documents, budget_ms, explain and facets; where rules of the collection were "
            "changed, begin with the first page",
            location=("cursor",),
        )
    if not cursor.list_id:
        return await _second_page(resources, principal, request, cursor, deadline)
    body = await resources.catalog.lists.get(cursor.list_id)
    known = None if body is None else unpacked_list(body)
    if known is None or known.digest != cursor.digest:
        raise CursorExpired(
            f"the cursor has expired: results are kept for {KEPT_MINUTES} minutes; begin with the first page, without "
            "a cursor",
            location=("cursor",),
        )
    return await _later_page(resources, principal, request, cursor, known, deadline=deadline)


async def _second_page(
    resources: Resources, principal: Principal, request: SearchRequest, cursor: Cursor, deadline: SearchDeadline
) -> SearchAnswer:
    """Rank everything, leave out the first page, and keep what follows the second."""
    answer = await resources.search.run(request, principal, deadline, everything=True)
    left = [
        each
        for each in answer.results
        if key_of(request, each.candidate.document_id, each.candidate.chunk.index) not in cursor.shown
    ]
    first = len(cursor.shown) + 1
    results = [each._replace(rank=rank) for rank, each in enumerate(left[: MOST_RESULTS + 1 - first], first)]
    page = results[: request.top_n]
    following = await keep_rest(resources, cursor.digest, answer, results[request.top_n :])
    return replace(answer, results=highlighted(request, page), next=following, took_ms=deadline.spent_ms())


async def keep_rest(resources: Resources, digest: bytes, answer: SearchAnswer, rest: Sequence[Result]) -> str | None:
    """Keep what follows a page, and return the cursor that leads there; ``None`` where nothing follows."""
    if not rest:
        return None
    list_id = new_id("list")
    found = tuple(kept(each, each.rank) for each in rest)
    body = packed_list(KeptList(digest, answer.score_kind, answer.degraded, found))
    await resources.catalog.lists.keep(list_id, body, seconds=KEPT_MINUTES * 60)
    return later_cursor(digest, list_id, 0)


async def _later_page(
    resources: Resources,
    principal: Principal,
    request: SearchRequest,
    cursor: Cursor,
    known: KeptList,
    *,
    deadline: SearchDeadline,
) -> SearchAnswer:
    """Cut a page from a kept list; documents that are gone, or that the caller may no longer see, are passed over."""
    position, page = cursor.position, list[tuple[KeptResult, Candidate]]()
    embed = retrieve = StageReport("skipped", reason="the list of results is at its end")
    while len(page) < request.top_n and position < len(known.results):
        ahead = known.results[position : position + request.top_n - len(page) + _AHEAD]
        documents = list(dict.fromkeys(each.document_id for each in ahead))
        found, embed, retrieve = await resources.search.find(request, principal, documents, deadline)
        chosen = _chosen(request, ahead, found)
        wanted = request.top_n - len(page)
        taken = list(islice(((at, pair) for at, pair in enumerate(chosen) if pair is not None), wanted))
        page += [pair for _, pair in taken]
        position += taken[-1][0] + 1 if len(taken) == wanted else len(ahead)
    results = tuple(entry.shown(candidate) for entry, candidate in page)
    more = position < len(known.results)
    return SearchAnswer(
        id=new_id("srch"),
        request=request,
        results=highlighted(request, results),
        score_kind=known.kind,
        degraded=known.degraded,
        embed=embed,
        retrieve=retrieve,
        rerank=StageReport("cached", reason="the order was decided when the second page was asked for"),
        took_ms=deadline.spent_ms(),
        next=later_cursor(cursor.digest, cursor.list_id, position) if more else None,
    )


def _chosen(
    request: SearchRequest, entries: Sequence[KeptResult], found: Sequence[Candidate]
) -> list[tuple[KeptResult, Candidate] | None]:
    """The chunk that shows each entry: its own, or where that has changed the document's best; none if it is gone."""
    best: dict[str, Candidate] = {}
    exact: dict[tuple[str, int, int], Candidate] = {}
    for each in found:
        best.setdefault(each.document_id, each)
        exact[each.document_id, each.revision, each.chunk.index] = each
    chunks = {(document, chunk): each for (document, _, chunk), each in exact.items()}
    pairs: list[tuple[KeptResult, Candidate] | None] = []
    for entry in entries:
        candidate = exact.get((entry.document_id, entry.revision, entry.chunk))
        if candidate is None and request.group_by == "document":
            candidate = best.get(entry.document_id)
        elif candidate is None:
            candidate = chunks.get((entry.document_id, entry.chunk))
        pairs.append(None if candidate is None else (entry, candidate))
    return pairs
