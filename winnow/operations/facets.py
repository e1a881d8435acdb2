"""Facets: the counts that go with a search, and a look for values of one field."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from winnow.core.access import view_of
from winnow.core.errors import DeadlineExceeded, InvalidQuery
from winnow.core.facets import MAX_VALUES, FacetCounts, Facets, FacetValue, check_facets, declared_type
from winnow.core.filters import fits, parse_filter, values_of
from winnow.core.principal import Principal
from winnow.core.search import Result, SearchAnswer, SearchRequest
from winnow.core.types import FieldType
from winnow.operations.resources import Resources
from winnow.ports import DescribedPoint
from winnow.search.facet_counts import count_field, newest_of_each
from winnow.search.facets import Counted, counted_fields, together
from winnow.search.limits import SearchDeadline

MAX_PREFIX_CHARS: Final = 256
_EVERY: Final = 1 << 31


class FoundValues(NamedTuple):
    """Values of a field that begin with a prefix, by count; ``exact`` as in ``FacetCounts``."""

    values: Sequence[FacetValue]
    omitted: int
    exact: bool


async def check_search_facets(
    resources: Resources, principal: Principal, request: SearchRequest, facets: Facets
) -> None:
    """Check the facets of a search before anything is searched.

    Raises:
        Forbidden: the principal may not search.
        CollectionNotFound: the collection does not exist, or the principal does not see it.
        InvalidQuery: a facet does not fit the collection's fields.
    """
    principal.require("search", collection=request.collection)
    check_facets(facets, (await resources.collections.get(request.collection)).fields)


async def count_facets(
    resources: Resources, principal: Principal, answer: SearchAnswer, facets: Facets, deadline: SearchDeadline
) -> Mapping[str, FacetCounts]:
    """The counts of a search that was answered.

    Counted are the documents in the principal's view that match the filter and at least one word of the query; in
    ``dense`` mode, which looks at no words, those that match the filter. When the time is up, the results are counted.
    """
    request = answer.request
    collection = await resources.collections.get(request.collection)
    view = view_of(principal, request.tenant)
    counting = resources.facets.count(collection, view, facets, text=_text_of(request), filter=request.filter)
    try:
        return await deadline.within(counting, stage="facets")
    except DeadlineExceeded:
        fields = collection.fields
        found = newest_of_each(_described(each, fields) for each in answer.results)
        return {key: count_field(found, key, fields[key], facets, exact=False) for key in facets.fields}


async def check_facets_together(
    resources: Resources, principal: Principal, requests: Sequence[SearchRequest], facets: Facets
) -> None:
    """Check the facets of several searches before anything is searched.

    Raises:
        Forbidden: the principal may not search one of the collections.
        CollectionNotFound: one of them does not exist, or the principal does not see it.
        InvalidQuery: a facet does not fit the fields of one, or they declare its field in two types.
    """
    declared: dict[str, tuple[FieldType, str]] = {}
    for request in {each.collection: each for each in requests}.values():
        try:
            await check_search_facets(resources, principal, request, facets)
        except InvalidQuery as error:
            message = f"collection {request.collection!r}: {error.message}"
            raise InvalidQuery(message, location=error.location) from error
        fields = (await resources.collections.get(request.collection)).fields
        for key in facets.fields:
            kind, first = declared.setdefault(key, (fields[key], request.collection))
            if kind != fields[key]:
                message = f"{key!r} is of type {kind} in {first!r} and of type {fields[key]} in {request.collection!r}"
                raise InvalidQuery(message, location=("facets",))


async def count_facets_together(
    resources: Resources,
    principal: Principal,
    answers: Sequence[SearchAnswer],
    facets: Facets,
    deadline: SearchDeadline,
) -> Mapping[str, FacetCounts]:
    """The counts of several searches that were answered: each document that one of them matches counts once.

    When the time is up, the results are counted.
    """
    fields = (await resources.collections.get(answers[0].request.collection)).fields
    by_collection: dict[str, list[SearchAnswer]] = {}
    for each in answers:
        by_collection.setdefault(each.request.collection, []).append(each)
    try:
        parts = await deadline.within(_matching(resources, principal, by_collection, facets), stage="facets")
    except DeadlineExceeded:
        parts = []
        for some in by_collection.values():
            best = newest_of_each(_described(each, fields) for answer in some for each in answer.results)
            parts.append(dict.fromkeys(facets.fields, Counted(best, exact=False)))
    whole = {
        key: Counted([each for part in parts for each in part[key].documents], all(part[key].exact for part in parts))
        for key in facets.fields
    }
    return await asyncio.to_thread(counted_fields, whole, fields, facets)


async def _matching(
    resources: Resources, principal: Principal, answers: Mapping[str, Sequence[SearchAnswer]], facets: Facets
) -> list[Mapping[str, Counted]]:
    """The documents of each collection that its searches match, by facet."""
    parts: list[Mapping[str, Counted]] = []
    for name, some in answers.items():
        collection = await resources.collections.get(name)
        found = []
        for request in (each.request for each in some):
            view, text = view_of(principal, request.tenant), _text_of(request)
            found.append(await resources.facets.matching(collection, view, facets, text=text, filter=request.filter))
        parts.append({key: together([each[key] for each in found]) for key in facets.fields})
    return parts


def _text_of(request: SearchRequest) -> str | None:
    """What is looked for in the documents that are counted; ``dense`` mode looks at no words."""
    return None if request.mode == "dense" else request.words or request.query


async def find_values(
    resources: Resources,
    principal: Principal,
    name: str,
    key: str,
    *,
    prefix: str = "",
    raw_filter: object = None,
    tenant: str | None = None,
    limit: int = 10,
) -> FoundValues:
    """Values of a field that begin with ``prefix``, whatever the case, with the number of documents that have each.

    Counted are the documents in the principal's view that pass the filter, which is given as JSON.

    Raises:
        Forbidden: the principal may not search.
        CollectionNotFound: the collection does not exist, or the principal does not see it.
        InvalidFilter: the filter is malformed, or names an undeclared field.
        InvalidQuery: the field is not declared, or a parameter is out of range.
    """
    principal.require("search", collection=name)
    if not 1 <= limit <= MAX_VALUES:
        raise InvalidQuery(f"limit is 1 to {MAX_VALUES}, not {limit}", location=("limit",))
    if len(prefix) > MAX_PREFIX_CHARS:
        raise InvalidQuery(f"q has {len(prefix)} characters; the limit is {MAX_PREFIX_CHARS}", location=("q",))
    collection = await resources.collections.get(name)
    collection.require_filled(collection.serving.generation)
    kind = declared_type(key, collection.fields, ("field",))
    wanted = None if raw_filter is None else parse_filter(raw_filter, collection.fields)
    found = await resources.facets.documents(collection, view_of(principal, tenant), text=None, filter=wanted)
    counts = count_field(found.documents, key, kind, Facets((key,), limit=_EVERY), exact=found.exact)
    start = prefix.casefold()
    values = [each for each in counts.values or () if _spelled(each.value).casefold().startswith(start)]
    return FoundValues(values[:limit], max(0, len(values) - limit), found.exact)


def _spelled(value: object) -> str:
    """A value as people type it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _described(result: Result, fields: Mapping[str, FieldType]) -> DescribedPoint:
    candidate = result.candidate
    values = {
        key: tuple(value for value in values_of(candidate.metadata.get(key)) if fits(kind, value))
        for key, kind in fields.items()
    }
    return DescribedPoint(candidate.document_id, candidate.revision, values)
