"""Rules of a collection at work in a search: words to look for, documents that are hidden, those that come first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from winnow.core.access import view_of
from winnow.core.acl import DOCUMENT_FIELD
from winnow.core.errors import DeadlineExceeded, Upstream
from winnow.core.filters import narrowed
from winnow.core.principal import Principal
from winnow.core.search import Result, SearchAnswer, SearchRequest
from winnow.core.tenancy import plain_id, qualify_id
from winnow.core.types import Comparison, Filter, Not
from winnow.operations.instant import first_chunks
from winnow.operations.resources import Resources
from winnow.search.acting_rules import ActingRules, acting_rules, described_rule
from winnow.search.cursors import cursor_after, key_of
from winnow.search.limits import SearchDeadline
from winnow.search.two_stage import highlighted


async def with_rules(
    resources: Resources, principal: Principal, request: SearchRequest
) -> tuple[SearchRequest, ActingRules | None]:
    """The search with the collection's rules applied to its words and its filter, and the rules that act on it.

    ``None`` where the collection has no rules. Documents are those of the tenant that the search is about. The caller
    has checked that the principal may search the collection.

    Raises:
        CollectionNotFound: the collection does not exist.
    """
    rules = (await resources.collections.get(request.collection)).rules
    if rules.is_empty:
        return request, None
    acting = acting_rules(rules, request.query, request.language, by_words=request.mode != "dense")
    if not acting.hidden:
        return replace(request, words=acting.words), acting
    visible = without_documents(view_of(principal, request.tenant).tenant, acting.hidden)
    return replace(request, words=acting.words, filter=narrowed(request.filter, visible)), acting


def without_documents(tenant: str, documents: Iterable[str]) -> Filter:
    """The filter that leaves documents of a tenant out."""
    return Not(Comparison("in", DOCUMENT_FIELD, [qualify_id(tenant, each) for each in documents]))


def explained(answer: SearchAnswer, acting: ActingRules) -> SearchAnswer:
    """The answer with the rules that acted, where it is to be explained; a pin acted where it shows a document."""
    if not answer.request.explain:
        return answer
    shown = {plain_id(each.candidate.document_id) for each in answer.results if each.pinned}
    pins = [described_rule("pin", rule) for rule in acting.pinning if not shown.isdisjoint(rule.documents)]
    return replace(answer, rules=[*acting.acted, *pins])


async def search_pinned(
    resources: Resources, principal: Principal, answer: SearchAnswer, pins: Sequence[str], deadline: SearchDeadline
) -> SearchAnswer:
    """The first page of an answer with the pinned documents in front."""
    request = answer.request
    placed, failure = await pin_results(resources, principal, request, pins, answer.results, deadline=deadline)
    page, more = placed[: request.top_n], answer.next is not None or len(placed) > request.top_n
    following = None
    if more and request.packing is None and request.mode != "instant":
        collection = await resources.collections.get(request.collection)
        following = cursor_after(request, view_of(principal, request.tenant), collection, page)
    return noted(replace(answer, results=tuple(page), next=following, took_ms=deadline.spent_ms()), failure)


async def pin_results(
    resources: Resources,
    principal: Principal,
    request: SearchRequest,
    pins: Sequence[str],
    results: Sequence[Result],
    *,
    deadline: SearchDeadline,
) -> tuple[list[Result], str | None]:
    """Results with the pinned documents in front, at most ``top_n`` of them, ranks from 1; and why some are missing.

    A document among the results is moved with its scores. Others are read through the caller's view and the filter of
    the search; the second stage does not score them. Full searches read them by meaning, since they need not have a
    word of the query; instant searches, which call no model, show their first chunks.
    """
    wanted, known = _wanted(principal, request, pins), _by_document(results)
    missing, failure = [each for each in wanted if each not in known], None
    if missing:
        try:
            known |= await _read(resources, principal, request, missing, deadline)
        except (Upstream, DeadlineExceeded) as error:
            failure = f"pinned documents could not be read: {error.message}"
    return _placed(request, wanted, known, results), failure


async def pinning(
    resources: Resources,
    principal: Principal,
    request: SearchRequest,
    pins: Sequence[str],
    retrieved: Callable[[SearchAnswer], None],
    *,
    deadline: SearchDeadline,
) -> Callable[[SearchAnswer], None]:
    """``retrieved`` for answers of the first stage that have no pins yet: it gets them with the pins in front.

    The documents are read ahead, by no model; those that cannot be read are in front once they are found.
    """
    wanted = _wanted(principal, request, pins)
    try:
        ahead = await _read(resources, principal, replace(request, mode="instant"), wanted, deadline)
    except (Upstream, DeadlineExceeded):
        ahead = {}

    def hand_on(answer: SearchAnswer) -> None:
        placed = _placed(request, wanted, ahead | _by_document(answer.results), answer.results)
        retrieved(replace(answer, results=tuple(placed[: request.top_n])))

    return hand_on


def _wanted(principal: Principal, request: SearchRequest, pins: Sequence[str]) -> list[str]:
    tenant = view_of(principal, request.tenant).tenant
    return [qualify_id(tenant, each) for each in pins][: request.top_n]


def _by_document(results: Iterable[Result]) -> dict[str, Result]:
    """The first result of each document."""
    first: dict[str, Result] = {}
    for each in results:
        first.setdefault(each.candidate.document_id, each)
    return first


async def _read(
    resources: Resources,
    principal: Principal,
    request: SearchRequest,
    documents: Sequence[str],
    deadline: SearchDeadline,
) -> dict[str, Result]:
    """One result for each of these documents that is there and may be shown."""
    if request.mode == "instant":
        found = await first_chunks(resources, principal, request, documents, deadline)
    else:
        by_meaning = replace(request, mode="dense", weights=None)
        found, _, _ = await resources.search.find(by_meaning, principal, documents, deadline)
    read = _by_document(Result(0, each, None, None) for each in found)
    return _by_document(highlighted(request, list(read.values())))


def _placed(
    request: SearchRequest, wanted: Sequence[str], known: Mapping[str, Result], results: Sequence[Result]
) -> list[Result]:
    pinned = [known[each]._replace(pinned=True) for each in wanted if each in known]
    keys = {_key(request, each) for each in pinned}
    placed = [*pinned, *(each for each in results if _key(request, each) not in keys)]
    return [each._replace(rank=rank) for rank, each in enumerate(placed, 1)]


def noted(answer: SearchAnswer, failure: str | None) -> SearchAnswer:
    """The answer, which says so where pinned documents are missing."""
    if failure is None:
        return answer
    reason = "; ".join(filter(None, (answer.retrieve.reason, failure)))
    return replace(answer, degraded=True, retrieve=replace(answer.retrieve, reason=reason))


def _key(request: SearchRequest, result: Result) -> bytes:
    return key_of(request, result.candidate.document_id, result.candidate.chunk.index)
