"""What every ``VectorStore`` must tell of indexes that are lost: part of its suite."""

from __future__ import annotations

from winnow.ports import IndexRef, VectorStore
from winnow.testing.contracts.points import INDEX, SCHEMA, make_point


class LostIndexContract:
    """The tests of ``lost`` and ``set_aside``; ``ready`` is a store with an empty index."""

    async def test_lost_indexes_are_told_from_those_that_are_there(self, ready: VectorStore) -> None:
        missing = IndexRef(INDEX.collection, 2)
        assert await ready.lost([]) == {}
        assert list(await ready.lost([INDEX, missing])) == [missing]
        await ready.drop(INDEX)
        assert set(await ready.lost([INDEX, missing])) == {INDEX, missing}
        assert await ready.set_aside(INDEX) is None
        await ready.create(INDEX, SCHEMA)
        assert list(await ready.lost([INDEX, missing])) == [missing]

    async def test_a_sound_index_is_not_set_aside(self, ready: VectorStore) -> None:
        await ready.upsert(INDEX, [make_point(1)])
        assert await ready.set_aside(INDEX) is None
        assert await ready.count(INDEX) == 1
