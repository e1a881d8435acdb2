"""Rules of a collection at work in a search: words to look for, documents that are hidden, those that come first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from winnow.core.access import view_of
from winnow.core.acl import DOCUMENT_FIELD
from winnow.core.errors import DeadlineExceeded, Upstream
from winnow.core.filters import narrowed
from winnow.core.principal import Principal
from winnow.core.search import Result, SearchAnswer, SearchRequest
from winnow.core.tenancy import plain_id, qualify_id
from winnow.core.types import Comparison, Not
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
    by_words = request.mode not in ("dense", "instant")
    acting = acting_rules(rules, request.query, request.language, by_words=by_words)
    if not acting.hidden:
        return replace(request, words=acting.words), acting
    tenant = view_of(principal, request.tenant).tenant
    hidden = Not(Comparison("in", DOCUMENT_FIELD, [qualify_id(tenant, each) for each in acting.hidden]))
    return replace(request, words=acting.words, filter=narrowed(request.filter, hidden)), acting


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
    if more and request.packing is None:
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
    the search, by meaning, since they need not have a word of the query; the second stage does not score them.
    """
    tenant = view_of(principal, request.tenant).tenant
    wanted = [qualify_id(tenant, each) for each in pins][: request.top_n]
    known: dict[str, Result] = {}
    for each in results:
        known.setdefault(each.candidate.document_id, each)
    missing, failure = [each for each in wanted if each not in known], None
    if missing:
        by_meaning = replace(request, mode="dense", weights=None)
        try:
            found, _, _ = await resources.search.find(by_meaning, principal, missing, deadline)
        except (Upstream, DeadlineExceeded) as error:
            found, failure = [], f"pinned documents could not be read: {error.message}"
        first = {each.document_id: each for each in reversed(found)}
        read = [Result(0, each, None, None) for each in first.values()]
        known |= {each.candidate.document_id: each for each in highlighted(request, read)}
    pinned = [known[each]._replace(pinned=True) for each in wanted if each in known]
    keys = {_key(request, each) for each in pinned}
    placed = [*pinned, *(each for each in results if _key(request, each) not in keys)]
    return [each._replace(rank=rank) for rank, each in enumerate(placed, 1)], failure


def noted(answer: SearchAnswer, failure: str | None) -> SearchAnswer:
    """The answer, which says so where pinned documents are missing."""
    if failure is None:
        return answer
    reason = "; ".join(filter(None, (answer.retrieve.reason, failure)))
    return replace(answer, degraded=True, retrieve=replace(answer.retrieve, reason=reason))


def _key(request: SearchRequest, result: Result) -> bytes:
    return key_of(request, result.candidate.document_id, result.candidate.chunk.index)
