"""Collections on the read path: remembered for a second, forgotten at once when this process changes them."""

from __future__ import annotations

from typing import Any

import pytest

from winnow.core.errors import CollectionNotFound
from winnow.core.principal import LOCAL
from winnow.operations.collections import CollectionSpec, delete_collection, ensure_collection
from winnow.search.lookup import SECONDS, CollectionLookup


class Counting:
    """Collections that count how often they are asked for."""

    def __init__(self, collections: Any) -> None:
        self._collections = collections
        self.asked = 0

    async def get(self, name: str) -> Any:
        self.asked += 1
        return await self._collections.get(name)


async def test_a_collection_is_asked_for_once_a_second(service: Any) -> None:
    await ensure_collection(service.resources, LOCAL, "c", CollectionSpec())
    now = 0.0
    counting = Counting(service.resources.catalog.collections)
    lookup = CollectionLookup(counting, clock=lambda: now)  # type: ignore[arg-type]
    assert await lookup.get("c") == await lookup.get("c")
    assert counting.asked == 1
    now = SECONDS + 0.1
    await lookup.get("c")
    assert counting.asked == 2


async def test_what_is_not_there_is_not_remembered(service: Any) -> None:
    lookup = service.resources.collections
    with pytest.raises(CollectionNotFound):
        await lookup.get("c")
    await ensure_collection(service.resources, LOCAL, "c", CollectionSpec())
    assert (await lookup.get("c")).name == "c"


async def test_changes_of_this_process_are_seen_at_once(service: Any) -> None:
    await ensure_collection(service.resources, LOCAL, "c", CollectionSpec())
    assert (await service.resources.collections.get("c")).fields == {}
    await ensure_collection(service.resources, LOCAL, "c", CollectionSpec(fields={"year": "integer"}))
    assert (await service.resources.collections.get("c")).fields == {"year": "integer"}
    await delete_collection(service.resources, LOCAL, "c")
    with pytest.raises(CollectionNotFound):
        await service.resources.collections.get("c")
