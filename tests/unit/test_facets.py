"""Facet counts against a count by hand: random documents, filters, words, tenants and access lists."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from winnow.core.access import access_values, joined
from winnow.core.acl import ACCESS_FIELDS, AccessRules, AccessView, Acl, reader_names
from winnow.core.errors import InvalidQuery
from winnow.core.facets import Facets, check_facets, without_own
from winnow.core.filters import fits, matches, parse_datetime, values_of
from winnow.core.settings.vectors import EdgeVectors
from winnow.core.tenancy import qualify_id
from winnow.core.types import And, Chunk, Chunking, Collection, Comparison, Filter, Index, IndexIdentity, Not, Or
from winnow.ports import IndexSchema, Point, VectorStore
from winnow.search.facets import FacetCounter
from winnow.testing.contracts.points import DIMENSIONS, WORDS, make_point
from winnow.testing.contracts.random_filters import FIELDS, random_filter, random_metadata
from winnow.testing.vectors import FakeVectorStore
from winnow.vectors.edge.store import EdgeVectorStore

IDENTITY = IndexIdentity("fake", "m", "1", DIMENSIONS, "", "", "c")
COLLECTION = Collection(Index("docs", "u" * 32, 1, IDENTITY), Chunking(), FIELDS, access=AccessRules(in_use=True))
INDEX = COLLECTION.serving.ref
BOUNDS: dict[str, tuple[Any, ...]] = {
    "year": (None, 0, 1.5, 3),
    "price": (-2, 0, 0.5, None),
    "published": ("2020-01-01", "2020-01-01T02:00:00Z", "2020-01-01T05:30:00+02:00"),
}


@pytest.fixture(params=["fake", "edge"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[VectorStore]:
    made: Any = FakeVectorStore() if request.param == "fake" else EdgeVectorStore(tmp_path / "v", EdgeVectors())
    yield made
    await made.close()


def random_points(rng: random.Random, documents: int) -> list[Point]:
    """Points of documents of some chunks each, of tenants and with access lists; some also in an older revision."""
    points: list[Point] = []
    for number in range(documents):
        metadata = random_metadata(rng)
        acl = rng.choice([None, None, Acl(("ann",)), Acl((), ("staff",)), Acl()])
        document = qualify_id(rng.choice(["", "", "t"]), f"d{number}")
        for revision in (1, 2) if rng.random() < 0.1 else (2,):
            about = metadata if revision == 2 else random_metadata(rng)
            for chunk in range(rng.randrange(1, 4)):
                text = " ".join(rng.sample(WORDS, 2))
                point = make_point(
                    len(points) + 1,
                    document=document,
                    revision=revision,
                    metadata=about,
                    access=access_values(document, acl),
                    chunk=Chunk(chunk, 0, len(text), text),
                )
                points.append(point)
    return points


def expected(points: list[Point], key: str, condition: Filter | None, words: set[str] | None) -> dict[Any, int]:
    """Documents by value: the newest revision that matches counts."""
    found: dict[str, Point] = {}
    for point in points:
        passes = condition is None or matches(condition, {**point.metadata, **point.access})
        has_word = words is None or bool(words & set(point.chunk.text.split()))
        if passes and has_word and point.revision >= found.get(point.document_id, point).revision:
            found[point.document_id] = point
    counts: Counter[Any] = Counter()
    for point in found.values():
        values = [value for value in values_of(point.metadata.get(key)) if fits(FIELDS[key], value)]
        counts.update({parse_datetime(value) if FIELDS[key] == "datetime" else value for value in values})
    return dict(counts)


def in_ranges(points: list[Point], key: str, condition: Filter | None) -> list[int]:
    """Documents by range, of one revision each."""
    place: Any = parse_datetime if FIELDS[key] == "datetime" else lambda value: value
    bounds = [None if bound is None else place(bound) for bound in BOUNDS[key]]
    counts = []
    for start, end in pairwise(bounds):
        documents = {
            point.document_id
            for point in points
            if condition is None or matches(condition, {**point.metadata, **point.access})
            for value in values_of(point.metadata.get(key))
            if (start is None or place(value) >= start) and (end is None or place(value) < end)
        }
        counts.append(len(documents))
    return counts


async def filled(store: VectorStore, points: list[Point]) -> FacetCounter:
    await store.create(INDEX, IndexSchema(DIMENSIONS, DIMENSIONS, {**FIELDS, **ACCESS_FIELDS}))
    await store.upsert(INDEX, points)
    return FacetCounter(store)


async def test_counts_are_those_of_a_count_by_hand(store: VectorStore) -> None:
    rng = random.Random(3)
    points = random_points(rng, 300)
    counter = await filled(store, points)
    for _ in range(60):
        readers = rng.choice([None, reader_names(["ann"], []), reader_names([], ["staff"]), frozenset()])
        view = AccessView(rng.choice(["", "t", "other"]), readers)
        condition, words = random_filter(rng), rng.choice([None, set(rng.sample(WORDS, 2))])
        text = None if words is None else " ".join(sorted(words))
        facets = Facets(tuple(FIELDS), disjunctive=rng.random() < 0.5)
        found = await counter.count(COLLECTION, view, facets, text=text, filter=condition)
        assert list(found) == list(FIELDS)
        for key, counts in found.items():
            own = without_own(condition, key) if facets.disjunctive else condition
            wanted = expected(points, key, joined(view, COLLECTION, own), words)
            assert counts.values is not None
            got = {
                parse_datetime(each.value) if FIELDS[key] == "datetime" else each.value: each.documents
                for each in counts.values
            }
            assert (counts.exact, got) == (True, wanted), (key, condition)


async def test_ranges_have_their_start_and_not_their_end(store: VectorStore) -> None:
    rng = random.Random(4)
    points = [replace(point, revision=1) for point in random_points(rng, 200)]
    points = [
        replace(point, metadata=points[0].metadata) if point.document_id == points[0].document_id else point
        for point in points
    ]
    newest = {point.document_id: point.metadata for point in points}
    points = [replace(point, metadata=newest[point.document_id]) for point in points]
    counter = await filled(store, points)
    for _ in range(20):
        condition = random_filter(rng)
        found = await counter.count(COLLECTION, AccessView(), Facets(ranges=BOUNDS), text=None, filter=condition)
        for key, counts in found.items():
            assert counts.values is None
            assert counts.ranges is not None
            passing = joined(AccessView(), COLLECTION, condition)
            assert [each.documents for each in counts.ranges] == in_ranges(points, key, passing), (key, condition)
            assert [each.start for each in counts.ranges] == list(BOUNDS[key][:-1])


async def test_what_is_too_much_to_count_is_not_called_exact(store: VectorStore) -> None:
    points = [make_point(number, metadata={"lang": "en"}) for number in range(1, 31)]
    await filled(store, points)
    for most, exact, count in ((30, True, 30), (29, False, 29)):
        counter = FacetCounter(store, most=most)
        found = await counter.count(COLLECTION, AccessView(), Facets(("lang",)), text="amber", filter=None)
        assert (found["lang"].exact, found["lang"].values) == (exact, (("en", count),))


async def test_a_changed_document_counts_as_it_is_now_and_what_is_remembered_is_bounded(store: VectorStore) -> None:
    counter = await filled(store, [make_point(1, metadata={"lang": "en"}), make_point(2, metadata={"lang": "en"})])
    small = FacetCounter(store, kept=1)

    async def langs(which: FacetCounter) -> Any:
        return (await which.count(COLLECTION, AccessView(), Facets(("lang",)), text=None, filter=None))["lang"].values

    assert await langs(counter) == await langs(small) == (("en", 2),)
    await store.upsert(INDEX, [make_point(3, document="doc-1", revision=2, metadata={"lang": "de"})])
    assert await langs(counter) == (("de", 1), ("en", 1))
    await store.delete_documents(INDEX, {"doc-1": 2, "doc-2": None})
    assert await langs(counter) == await langs(small) == (("de", 1),)


async def test_values_beyond_the_limit_are_named_as_omitted(store: VectorStore) -> None:
    points = [make_point(number, metadata={"year": number // 2}) for number in range(1, 21)]
    counter = await filled(store, points)
    found = await counter.count(COLLECTION, AccessView(), Facets(("year",), limit=3), text=None, filter=None)
    assert (found["year"].values, found["year"].omitted) == (((1, 2), (2, 2), (3, 2)), 8)


@pytest.mark.parametrize(
    ("facets", "message"),
    [
        (Facets(("colour",)), "'colour' is not a declared field"),
        (Facets(ranges={"colour": (1, 2)}), "'colour' is not a declared field"),
        (Facets(("~acl",)), "not a declared field"),
        (Facets(ranges={"lang": (1, 2)}), "ranges need an ordered field"),
        (Facets(ranges={"year": (1,)}), "2 to 64 bounds, not 1"),
        (Facets(ranges={"year": (1, None, 3)}), "None is not"),
        (Facets(ranges={"year": (3, 1)}), "1 does not"),
        (Facets(ranges={"year": (1, 1)}), "must ascend"),
        (Facets(ranges={"year": (1, "2")}), "'2' is not"),
        (Facets(ranges={"published": ("2020-01-01", "soon")}), "'soon' is not"),
        (Facets(ranges={"year": (float("nan"), 1)}), "nan is not"),
    ],
)
def test_what_cannot_be_counted_is_named(facets: Facets, message: str) -> None:
    with pytest.raises(InvalidQuery, match=message):
        check_facets(facets, FIELDS)


def test_ones_own_conditions_are_taken_out_where_every_document_must_meet_them() -> None:
    lang, year = Comparison("eq", "lang", "en"), Comparison("gt", "year", 1)
    either = Or((lang, Comparison("eq", "lang", "de")))
    assert without_own(None, "lang") is None
    assert without_own(lang, "lang") is None
    assert without_own(year, "lang") == year
    assert without_own(And((lang, year)), "lang") == year
    assert without_own(And((And((Not(lang), year)), either, year)), "lang") == And((year, year))
    assert without_own(Or((lang, year)), "lang") == Or((lang, year))
