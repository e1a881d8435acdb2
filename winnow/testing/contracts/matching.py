"""What every ``VectorStore`` must do where documents are counted: part of its suite."""

from __future__ import annotations

import random
from dataclasses import replace

from winnow.core.access import access_values
from winnow.core.acl import ACCESS_FIELDS, DOCUMENT_FIELD, Acl
from winnow.core.filters import matches
from winnow.core.tenancy import qualify_id
from winnow.core.types import Comparison, Filter, Not
from winnow.ports import DescribedPoint, VectorStore
from winnow.testing.contracts.points import INDEX, SCHEMA, WORDS, make_point
from winnow.testing.contracts.random_filters import FIELDS, random_filter, random_metadata


class MatchingContract:
    """The tests of ``matching`` and ``describe``; ``ready`` is a store with an empty index."""

    async def test_matching_finds_all_points_with_a_word_that_pass_the_filter(self, ready: VectorStore) -> None:
        await ready.create(INDEX, replace(SCHEMA, fields=FIELDS))
        rng = random.Random(5)
        texts = {number: " ".join(rng.sample(WORDS, 3)) for number in range(1, 201)}
        points = [make_point(number, text, metadata=random_metadata(rng)) for number, text in texts.items()]
        await ready.upsert(INDEX, points)

        async def found(text: str | None, condition: Filter | None, limit: int = 500) -> list[str]:
            handles = await ready.matching(INDEX, text=text, filter=condition, limit=limit)
            return sorted(each.document_id for each in (await ready.describe(INDEX, handles)).values())

        for _ in range(40):
            condition, asked = random_filter(rng), rng.sample(WORDS, 2)
            passing = [point for point in points if matches(condition, point.metadata)]
            assert await found(None, condition) == sorted(point.document_id for point in passing)
            with_words = [point for point in passing if set(asked) & set(point.chunk.text.split())]
            assert await found(" ".join(asked), condition) == sorted(point.document_id for point in with_words)
        assert len(await found(None, None)) == 200
        assert len(await found("amber", None, 7)) == len(await found(None, None, 7)) == 7
        assert await found("的?!", None) == []

    async def test_documents_are_chosen_and_left_out_by_id(self, ready: VectorStore) -> None:
        await ready.upsert(INDEX, [make_point(number, document=f"d{number // 2}") for number in range(2, 10)])
        some = Comparison("in", DOCUMENT_FIELD, ["d1", "d3", "unknown"])
        for condition, expected in ((some, {"d1", "d3"}), (Not(some), {"d2", "d4"})):
            found = await ready.query(INDEX, text="amber", limit=10, filter=condition)
            assert {hit.point.document_id for hit in found.sparse} == expected
            assert len(found.sparse) == 4

    async def test_a_described_point_has_its_document_and_the_values_of_declared_fields(
        self, ready: VectorStore
    ) -> None:
        fields = {"a b": "keyword", "n": "integer", "x": "float", "at": "datetime", "ok": "boolean"}
        await ready.create(INDEX, replace(SCHEMA, fields={**fields, **ACCESS_FIELDS}))  # type: ignore[dict-item]
        at = ("2024-05-01T02:00:00+02:00", "2024-05-02")
        metadata = {"a b": ["u", "v", 3], "n": 4, "x": 2, "at": list(at), "ok": [True, False]}
        access = access_values(qualify_id("t", "doc"), Acl(("ann",)))
        point = make_point(1, document=qualify_id("t", "doc"), metadata={**metadata, "more": 1}, access=access)
        await ready.upsert(INDEX, [point, make_point(2)])
        handles = await ready.matching(INDEX, limit=5)
        found = {each.document_id: each for each in (await ready.describe(INDEX, handles)).values()}
        values = {"a b": ("u", "v"), "n": (4,), "x": (2.0,), "at": at, "ok": (True, False)}
        assert found == {
            qualify_id("t", "doc"): DescribedPoint(qualify_id("t", "doc"), 1, values),
            "doc-2": DescribedPoint("doc-2", 1, {}),
        }
        await ready.delete_documents(INDEX, {"doc-2": None})
        assert len(await ready.describe(INDEX, handles)) == 1
