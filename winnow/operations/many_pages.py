"""Further pages of several searches as one: everything is ranked and merged once, kept, and cut into pages."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

from winnow.core.access import view_of
from winnow.core.errors import InvalidQuery
from winnow.core.ids import new_id
from winnow.core.paging import DIGEST_BYTES, MOST_RESULTS, Cursor, first_cursor, read_cursor, result_key
from winnow.core.principal import Principal
from winnow.core.search import SearchAnswer, SearchRequest
from winnow.operations.paging import (
    Chosen,
    Stages,
    answer_from_list,
    cut_page,
    keep_list,
    kept_list,
    require_same,
    shown_now,
)
from winnow.operations.resources import Resources
from winnow.operations.ruled_search import with_rules
from winnow.search.cursors import KeptList, KeptResult, kept, request_digest
from winnow.search.limits import SearchDeadline
from winnow.search.merging import FoundResult, ManyAnswers, merge_answers, renumbered, result_identity
from winnow.search.two_stage import highlighted


class Together(Protocol):
    """Answers several requests."""

    async def __call__(self, requests: Sequence[SearchRequest], *, everything: bool) -> tuple[SearchAnswer, ...]:
        """As ``search_together``."""


async def cursor_after_many(resources: Resources, principal: Principal, page: ManyAnswers) -> str | None:
    """The cursor after a first page; ``None`` in a mode that has no further pages."""
    requests = [each.request for each in page.answers]
    if requests[0].mode == "instant":
        return None
    return first_cursor(await _digest(resources, principal, requests), [_key(each) for each in page.results])


async def further_page_of_many(
    resources: Resources,
    principal: Principal,
    requests: Sequence[SearchRequest],
    text: str,
    together: Together,
    *,
    top_n: int,
) -> ManyAnswers:
    """The page that a cursor leads to. No result of an earlier page is on it.

    Raises:
        InvalidQuery: the cursor is not whole, or continues other requests, or texts are to be packed.
        CursorExpired: the list of results is no longer kept.
        WinnowError: as ``together`` does.
    """
    if requests[0].packing is not None:
        message = "texts are packed on the first page alone; leave out cursor, or expand, max_tokens and the like"
        raise InvalidQuery(message, location=("cursor",))
    for each in requests:
        principal.require("search", collection=each.collection)
    cursor, ruled = read_cursor(text), [(await with_rules(resources, principal, each))[0] for each in requests]
    require_same(cursor, await _digest(resources, principal, ruled))
    if cursor.list_id:
        return await _later_page(resources, principal, ruled, cursor, top_n=top_n)
    answers = await together(requests, everything=True)
    kind, found = merge_answers(answers)
    first = len(cursor.shown) + 1
    left = [each for each in found if _key(each) not in cursor.shown][: MOST_RESULTS + 1 - first]
    results = renumbered(left, first)
    page, rest = results[:top_n], [kept(each.result, each.result.rank, each.search) for each in results[top_n:]]
    degraded = any(each.degraded for each in answers)
    following = await keep_list(resources, KeptList(cursor.digest, kind, degraded, tuple(rest)))
    return ManyAnswers(new_id("srch"), answers, _marked(page), kind, 0.0, next=following)


async def _later_page(
    resources: Resources, principal: Principal, requests: Sequence[SearchRequest], cursor: Cursor, *, top_n: int
) -> ManyAnswers:
    """Cut a page from a kept list; each search reads its own documents, as its caller may see them now."""
    known = await kept_list(resources, cursor)
    budget = requests[0].budget_ms or resources.settings.search.budget_ms
    deadline, reports = SearchDeadline(budget * len(requests)), dict[int, Stages]()

    async def choose(ahead: Sequence[KeptResult]) -> Sequence[Chosen]:
        shown: dict[KeptResult, Chosen] = {}
        for search in dict.fromkeys(each.search for each in ahead):
            entries = [each for each in ahead if each.search == search]
            documents = list(dict.fromkeys(each.document_id for each in entries))
            found, *stages = await resources.search.find(requests[search], principal, documents, deadline)
            reports[search] = stages[0], stages[1]
            shown |= zip(entries, shown_now(requests[search], entries, found), strict=True)
        return [shown[each] for each in ahead]

    page, following = await cut_page(known, cursor, top_n, choose)
    results = [
        FoundResult(requests[entry.search], entry.shown(candidate), 0.0, entry.search) for entry, candidate in page
    ]
    answers = tuple(
        answer_from_list(request, known, reports.get(search), deadline) for search, request in enumerate(requests)
    )
    return ManyAnswers(new_id("srch"), answers, _marked(results), known.kind, 0.0, next=following)


async def _digest(resources: Resources, principal: Principal, requests: Sequence[SearchRequest]) -> bytes:
    """The digest of all that decides which results the searches have together, in which order."""
    whole = blake2b(digest_size=DIGEST_BYTES)
    for each in requests:
        collection = await resources.collections.get(each.collection)
        whole.update(request_digest(each, view_of(principal, each.tenant), collection))
    return whole.digest()


def _key(found: FoundResult) -> bytes:
    collection, document_id, chunk = result_identity(found)
    return result_key(f"{collection}\x1e{document_id}", chunk)


def _marked(results: Sequence[FoundResult]) -> tuple[FoundResult, ...]:
    """The results with the words of their queries marked, where they are asked for."""
    return tuple(each._replace(result=highlighted(each.request, [each.result])[0]) for each in results)
