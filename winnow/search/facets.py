"""Counts the documents that a search matches, by the values of their fields.

The store names the points that pass the filter and have a word of the query, without their contents, which takes some
milliseconds for ten thousand; what they are described as is remembered, since it does not change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from winnow.core.access import joined
from winnow.core.acl import AccessView
from winnow.core.facets import FacetCounts, Facets, check_facets, keys_of, without_own
from winnow.core.types import Collection, FieldType, Filter, IndexRef
from winnow.ports import DescribedPoint, PointHandle, VectorStore
from winnow.search.facet_counts import count_field, newest_of_each

MOST_POINTS: Final = 50_000  # points that one count looks at
KEPT_POINTS: Final = 200_000  # points whose descriptions are remembered, some 400 bytes each


class Counted(NamedTuple):
    """One point of each document that matches, and whether these are all."""

    documents: Sequence[DescribedPoint]
    exact: bool


class FacetCounter:
    """Counts over the points of a store."""

    def __init__(self, store: VectorStore, *, most: int = MOST_POINTS, kept: int = KEPT_POINTS) -> None:
        self._store = store
        self._most, self._kept = most, kept
        self._known: dict[tuple[IndexRef, frozenset[str]], dict[PointHandle, DescribedPoint]] = {}

    async def count(
        self, collection: Collection, view: AccessView, facets: Facets, *, text: str | None, filter: Filter | None
    ) -> Mapping[str, FacetCounts]:
        """The counts of each facet, over the documents in the view that pass ``filter`` and have a word of ``text``.

        Without ``text`` all that pass the filter are counted.

        Raises:
            InvalidQuery: a facet is of an undeclared field, or a range does not fit its field.
        """
        found = await self.matching(collection, view, facets, text=text, filter=filter)
        counts = await asyncio.to_thread(counted_fields, found, collection.fields, facets)
        return {key: counts[key] for key in facets.fields}

    async def matching(
        self, collection: Collection, view: AccessView, facets: Facets, *, text: str | None, filter: Filter | None
    ) -> Mapping[str, Counted]:
        """The documents that each facet counts, by field; as ``count``."""
        check_facets(facets, collection.fields)
        own = keys_of(filter) if facets.disjunctive and filter is not None else set()
        widened = [(without_own(filter, key), [key]) for key in facets.fields if key in own]
        found: dict[str, Counted] = {}
        for wanted, keys in [(filter, [key for key in facets.fields if key not in own]), *widened]:
            if keys:
                documents = await self.documents(collection, view, text=text, filter=wanted)
                found |= dict.fromkeys(keys, documents)
        return found

    async def documents(
        self, collection: Collection, view: AccessView, *, text: str | None, filter: Filter | None
    ) -> Counted:
        """The documents in the view that pass ``filter`` and, with ``text``, have a word of it."""
        index, passing = collection.serving.ref, joined(view, collection, filter)
        points = await self._store.matching(index, text=text, filter=passing, limit=self._most + 1)
        exact, points = len(points) <= self._most, points[: self._most]
        known = await self._described(index, collection.fields, points)
        return Counted(newest_of_each(known[each] for each in points if each in known), exact)

    async def _described(
        self, index: IndexRef, fields: Mapping[str, FieldType], points: Sequence[PointHandle]
    ) -> Mapping[PointHandle, DescribedPoint]:
        key = index, frozenset(fields)  # a field that is declared later is not in what was remembered before
        known = self._known.setdefault(key, {})
        if missing := [each for each in points if each not in known]:
            learnt = await self._store.describe(index, missing)
            if sum(map(len, self._known.values())) + len(learnt) > self._kept:
                self._known.clear()  # simpler than to track which were used last, and rare
                known = {each: known[each] for each in points if each in known}
                self._known[key] = known
            known |= learnt
        return known


def counted_fields(
    found: Mapping[str, Counted], fields: Mapping[str, FieldType], facets: Facets
) -> dict[str, FacetCounts]:
    """The counts of each facet over its documents."""
    return {key: count_field(found[key].documents, key, fields[key], facets, exact=found[key].exact) for key in found}


def together(found: Sequence[Counted]) -> Counted:
    """What several searches of one collection match: each document once."""
    documents = newest_of_each(document for each in found for document in each.documents)
    return Counted(documents, all(each.exact for each in found))
