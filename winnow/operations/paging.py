"""Further pages of a search: what follows the first one is ranked once, kept for a while, and cut into pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, TypeAlias

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
_AT_END: Final = StageReport("skipped", reason="the list of results is at its end")
_DECIDED: Final = StageReport("cached", reason="the order was decided when the second page was asked for")
_AHEAD: Final = 10  # documents that are looked up beyond a page, since some may be gone

Chosen: TypeAlias = tuple[KeptResult, Candidate] | None
"""An entry of a kept list with the chunk that shows it; ``None`` where there is none."""
Stages: TypeAlias = tuple[StageReport, StageReport]
"""The reports of the stages that looked documents up: embed and retrieve."""


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
    require_same(cursor, request_digest(request, view, collection))
    if not cursor.list_id:
        return await _second_page(resources, principal, request, cursor, deadline)
    known = await kept_list(resources, cursor)
    return await _later_page(resources, principal, request, cursor, known, deadline=deadline)


def require_same(cursor: Cursor, digest: bytes) -> None:
    """Raises ``InvalidQuery`` where a cursor continues another request than that of this digest."""
    if cursor.digest != digest:
        raise InvalidQuery(
            "the cursor continues another request: repeat the request that it came with, with nothing changed but "
            "top_n, highlight, return_documents, budget_ms, explain and facets; where rules of the collection were "
            "changed, begin with the first page",
            location=("cursor",),
        )


async def kept_list(resources: Resources, cursor: Cursor) -> KeptList:
    """The list that a cursor is in. Raises ``CursorExpired``."""
    body = await resources.catalog.lists.get(cursor.list_id)
    known = None if body is None else unpacked_list(body)
    if known is None or known.digest != cursor.digest:
        raise CursorExpired(
            f"the cursor has expired: results are kept for {KEPT_MINUTES} minutes; begin with the first page, without "
            "a cursor",
            location=("cursor",),
        )
    return known


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
    following = await keep_results(resources, cursor.digest, answer, results[request.top_n :])
    return replace(answer, results=highlighted(request, page), next=following, took_ms=deadline.spent_ms())


async def keep_results(resources: Resources, digest: bytes, answer: SearchAnswer, rest: Sequence[Result]) -> str | None:
    """Keep what follows a page of one search. Returns as ``keep_list``."""
    found = tuple(kept(each, each.rank) for each in rest)
    return await keep_list(resources, KeptList(digest, answer.score_kind, answer.degraded, found))


async def keep_list(resources: Resources, rest: KeptList) -> str | None:
    """Keep what follows a page, and return the cursor that leads there; ``None`` where nothing follows."""
    if not rest.results:
        return None
    list_id = new_id("list")
    await resources.catalog.lists.keep(list_id, packed_list(rest), seconds=KEPT_MINUTES * 60)
    return later_cursor(rest.digest, list_id, 0)


async def cut_page(
    known: KeptList, cursor: Cursor, size: int, choose: Callable[[Sequence[KeptResult]], Awaitable[Sequence[Chosen]]]
) -> tuple[list[tuple[KeptResult, Candidate]], str | None]:
    """A page cut from a kept list, and the cursor behind it; entries that ``choose`` has nothing for are left out."""
    position, page = cursor.position, list[tuple[KeptResult, Candidate]]()
    while len(page) < size and position < len(known.results):
        ahead = known.results[position : position + size - len(page) + _AHEAD]
        chosen = await choose(ahead)
        wanted = size - len(page)
        taken = list(islice(((at, pair) for at, pair in enumerate(chosen) if pair is not None), wanted))
        page += [pair for _, pair in taken]
        position += taken[-1][0] + 1 if len(taken) == wanted else len(ahead)
    more = position < len(known.results)
    return page, later_cursor(cursor.digest, cursor.list_id, position) if more else None


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
    stages: Stages | None = None

    async def choose(ahead: Sequence[KeptResult]) -> Sequence[Chosen]:
        nonlocal stages
        documents = list(dict.fromkeys(each.document_id for each in ahead))
        found, *reports = await resources.search.find(request, principal, documents, deadline)
        stages = reports[0], reports[1]
        return shown_now(request, ahead, found)

    page, following = await cut_page(known, cursor, request.top_n, choose)
    results = highlighted(request, [entry.shown(candidate) for entry, candidate in page])
    return replace(answer_from_list(request, known, stages, deadline), results=results, next=following)


def answer_from_list(
    request: SearchRequest, known: KeptList, stages: Stages | None, deadline: SearchDeadline
) -> SearchAnswer:
    """The answer of a search whose page is cut from a kept list, without results yet.

    ``stages`` are those that looked documents up; ``None`` where the list was at its end.
    """
    embed, retrieve = stages or (_AT_END, _AT_END)
    return SearchAnswer(
        id=new_id("srch"),
        request=request,
        results=(),
        score_kind=known.kind,
        degraded=known.degraded,
        embed=embed,
        retrieve=retrieve,
        rerank=_DECIDED,
        took_ms=deadline.spent_ms(),
    )


def shown_now(request: SearchRequest, entries: Sequence[KeptResult], found: Sequence[Candidate]) -> list[Chosen]:
    """The chunk that shows each entry: its own, or where that has changed the document's best; none if it is gone."""
    best: dict[str, Candidate] = {}
    exact: dict[tuple[str, int, int], Candidate] = {}
    for each in found:
        best.setdefault(each.document_id, each)
        exact[each.document_id, each.revision, each.chunk.index] = each
    chunks = {(document, chunk): each for (document, _, chunk), each in exact.items()}
    pairs: list[Chosen] = []
    for entry in entries:
        candidate = exact.get((entry.document_id, entry.revision, entry.chunk))
        if candidate is None and request.group_by == "document":
            candidate = best.get(entry.document_id)
        elif candidate is None:
            candidate = chunks.get((entry.document_id, entry.chunk))
        pairs.append(None if candidate is None else (entry, candidate))
    return pairs
