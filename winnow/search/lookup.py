"""A cache of collections by name, without which each search would ask the database."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from winnow.core.errors import InvalidQuery
from winnow.core.search import SearchRequest
from winnow.core.types import Collection, Index
from winnow.ports import CollectionCatalog

SECONDS: Final = 1.0
_MOST: Final = 1024


def index_asked_for(collection: Collection, request: SearchRequest) -> Index:
    """The index that a search is about.

    Raises:
        InvalidQuery: the collection has no second index.
        IndexRebuilding: the index was lost, and does not hold all documents again.
    """
    index = collection.chosen(request.index)
    if index is None:
        raise InvalidQuery(f"collection {collection.name!r} has one index only", location=("index",))
    collection.require_filled(index.generation)
    return index


class CollectionLookup:
    """Remembers collections for a second, after which a change that another process made is seen.

    Code that changes a collection in this process calls ``forget``.
    """

    def __init__(self, catalog: CollectionCatalog, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._catalog = catalog
        self._clock = clock
        self._known: dict[str, tuple[float, Collection]] = {}  # with the moment at which it is too old

    async def get(self, name: str) -> Collection:
        """The collection, at most a second old. Raises ``CollectionNotFound``."""
        known = self._known.get(name)
        if known is not None and self._clock() < known[0]:
            return known[1]
        collection = await self._catalog.get(name)
        if len(self._known) >= _MOST:
            self._known.clear()  # simpler than to track which were used last, and rare
        self._known[name] = self._clock() + SECONDS, collection
        return collection

    def forget(self, name: str) -> None:
        """Ask the catalog next time."""
        self._known.pop(name, None)
