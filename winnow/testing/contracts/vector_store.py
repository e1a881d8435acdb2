"""What every ``VectorStore`` must do. A backend subclasses the suite and supplies the fixture ``store``."""

from __future__ import annotations

import random
import uuid
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from winnow.core.access import access_condition, access_values
from winnow.core.acl import AccessRules, AccessView, Acl, AclDefault, reader_names
from winnow.core.errors import IdentityMismatch, IndexLost, InvalidFilter
from winnow.core.exact import VERBATIM, Level
from winnow.core.filters import matches
from winnow.core.tenancy import qualify_id
from winnow.core.types import And, Chunk, Comparison, Exists, FloatArray, Not, Or
from winnow.ports import IndexRef, IndexSchema, PointKey, VectorStore
from winnow.testing.contracts.lost_indexes import LostIndexContract
from winnow.testing.contracts.matching import MatchingContract
from winnow.testing.contracts.points import (
    DIMENSIONS,
    FIELDS_OF_ALL,
    INDEX,
    SCHEMA,
    WORDS,
    halves,
    make_point,
    numbers,
    unit,
)
from winnow.testing.contracts.random_filters import FIELDS, random_filter, random_metadata
from winnow.testing.vectors import FakeVectorStore


class VectorStoreContract(MatchingContract, LostIndexContract):
    """The suite: a backend supplies the fixture ``store``, an empty one. Tests use one index, made by ``ready``."""

    @pytest.fixture
    async def ready(self, store: VectorStore) -> VectorStore:
        """The store with an empty index."""
        await store.create(INDEX, SCHEMA)
        return store

    async def test_an_index_is_made_once_and_the_same_schema_again_changes_nothing(self, store: VectorStore) -> None:
        await store.create(INDEX, SCHEMA)
        await store.upsert(INDEX, [make_point(1)])
        await store.create(INDEX, SCHEMA)
        assert await store.count(INDEX) == 1
        assert list(await store.indexes()) == [INDEX]

    async def test_generations_are_indexes_of_their_own(self, ready: VectorStore) -> None:
        second = IndexRef(INDEX.collection, 2)
        await ready.create(second, SCHEMA)
        await ready.upsert(second, [make_point(1)])
        assert (await ready.count(INDEX), await ready.count(second)) == (0, 1)
        assert list(await ready.indexes()) == [INDEX, second]

    async def test_a_dropped_index_is_gone_and_can_be_made_again(self, ready: VectorStore) -> None:
        await ready.upsert(INDEX, [make_point(1)])
        await ready.drop(INDEX)
        assert list(await ready.indexes()) == []
        with pytest.raises(IndexLost, match="books"):
            await ready.count(INDEX)
        await ready.create(INDEX, SCHEMA)
        assert await ready.count(INDEX) == 0

    async def test_dropping_an_unknown_index_is_no_error(self, store: VectorStore) -> None:
        await store.drop(INDEX)

    @pytest.mark.parametrize("changes", [{"dimensions": 16}, {"token_dimensions": 0}, {"fields": {"lang": "integer"}}])
    async def test_a_contradicting_schema_is_refused(self, ready: VectorStore, changes: dict[str, Any]) -> None:
        with pytest.raises(IdentityMismatch, match="books"):
            await ready.create(INDEX, replace(SCHEMA, **changes))

    async def test_a_field_that_is_added_later_finds_what_was_stored_before(self, ready: VectorStore) -> None:
        points = [make_point(n, metadata={"stock": n, "lang": "en"}) for n in range(1, 251)]
        await ready.upsert(INDEX, [*points, make_point(999)])
        await ready.create(INDEX, IndexSchema(DIMENSIONS, DIMENSIONS, {"stock": "integer"}))
        condition = And((Comparison("gt", "stock", 240), Comparison("eq", "lang", "en")))
        found = await ready.query(INDEX, dense=unit(1), limit=1000, filter=condition)
        assert sorted(numbers(found.dense)) == list(range(241, 251))

    @pytest.mark.parametrize("added_later", [False, True])
    async def test_a_view_finds_its_tenants_documents_that_its_readers_may_see(
        self, store: VectorStore, added_later: bool
    ) -> None:
        await store.create(INDEX, SCHEMA if added_later else replace(SCHEMA, fields=FIELDS_OF_ALL))
        await store.upsert(INDEX, [make_point(1), make_point(2)])  # of no tenant, for everybody
        if added_later:
            await store.create(INDEX, replace(SCHEMA, fields=FIELDS_OF_ALL))
        lists = {3: Acl(("alice",)), 4: Acl((), ("staff",)), 5: Acl(), 6: Acl(("alice", "bob"), ("staff",))}
        for tenant, shift in (("", 0), ("acme", 10)):
            points = [(n + shift, access_values(qualify_id(tenant, f"doc-{n}"), acl)) for n, acl in lists.items()]
            await store.upsert(INDEX, [make_point(n, access=access) for n, access in points])
        await store.upsert(INDEX, [make_point(17, access=access_values(qualify_id("acme", "doc-7"), None))])

        async def seen(view: AccessView, default: AclDefault = "public") -> list[int]:
            tree = access_condition(view, AccessRules(default, in_use=True))
            found = await store.query(INDEX, dense=unit(1), text="amber", limit=100, filter=tree)
            assert sorted(numbers(found.dense)) == sorted(numbers(found.sparse))
            return sorted(numbers(found.dense))

        assert await seen(AccessView()) == [1, 2, 3, 4, 5, 6]
        assert await seen(AccessView("acme")) == [13, 14, 15, 16, 17]
        assert await seen(AccessView("elsewhere")) == []
        assert await seen(AccessView("", reader_names(["alice"], []))) == [1, 2, 3, 6]
        assert await seen(AccessView("acme", reader_names(["carol"], ["staff"]))) == [14, 16, 17]
        assert await seen(AccessView("acme", reader_names(["staff"], ["alice"]))) == [17]
        assert await seen(AccessView("acme", frozenset())) == [17]
        assert await seen(AccessView("acme", reader_names(["bob"], [])), "none") == [16]
        assert await seen(AccessView("", frozenset()), "none") == []

    async def test_a_point_comes_back_as_it_was_stored(self, ready: VectorStore) -> None:
        chunk = Chunk(2, 10, 40, "Ünïcode text 语义搜索 😀", ("Guide", "Setup › two"), "set-up")
        metadata = {"lang": "en", "deep": {"list": [1, 2.5, None, True, {"x": "y"}]}, "big": 2**63, "empty": {}}
        point = make_point(
            7, chunk=chunk, title="A title", url="https://example.org/?q=1", metadata=metadata, revision=3
        )
        await ready.upsert(INDEX, [point])
        (stored,) = (await ready.fetch(INDEX, [point.id, str(uuid.UUID(int=404))])).values()
        bare = replace(point, dense=None, tokens=None)
        assert replace(stored, dense=None, tokens=None) == bare
        assert await ready.read(INDEX, [str(uuid.UUID(int=404)), point.id]) == {point.id: bare}
        assert stored.dense is not None
        assert stored.tokens is not None
        assert stored.dense.dtype == np.float32
        assert stored.tokens.dtype == np.float16
        assert stored.dense == pytest.approx(point.dense, abs=1e-6)
        assert stored.tokens == pytest.approx(point.tokens, abs=0.01)  # an engine may store bytes

    async def test_points_are_read_without_vectors_and_with_access_where_it_is_asked_for(
        self, store: VectorStore
    ) -> None:
        await store.create(INDEX, IndexSchema(DIMENSIONS, fields={"~tenant": "keyword", "~acl": "keyword"}))
        access = {"~tenant": "acme", "~acl": ["user:alice", "group:staff"]}
        point = make_point(7, "amber", title="A title", tokens=None, access=access)
        await store.upsert(INDEX, [point, make_point(8, tokens=None)])
        wanted = [point.id, str(uuid.UUID(int=404)), make_point(8).id]
        plain = await store.read(INDEX, wanted)
        assert {each: replace(found, access={}) for each, found in plain.items()} == {
            point.id: replace(point, dense=None, access={}),
            make_point(8).id: replace(make_point(8, tokens=None), dense=None),
        }
        whole = await store.read_with_access(INDEX, wanted)
        assert [whole[each].access for each in (point.id, make_point(8).id)] == [access, {}]
        assert await store.read(INDEX, []) == {}

    async def test_vectors_may_be_missing(self, ready: VectorStore) -> None:
        await ready.upsert(INDEX, [make_point(1, "amber", dense=None, tokens=None), make_point(2, "amber")])
        bare = (await ready.fetch(INDEX, [make_point(1).id]))[make_point(1).id]
        assert (bare.dense, bare.tokens) == (None, None)
        found = await ready.query(INDEX, dense=unit(2), text="amber", limit=10)
        assert (numbers(found.dense), numbers(found.sparse)) == ([2], [1, 2])
        scores = await ready.score(INDEX, [bare.id], dense=unit(2), text="amber", tokens=halves(1))
        assert (scores[bare.id].dense, scores[bare.id].maxsim) == (None, None)
        assert scores[bare.id].sparse == pytest.approx(found.sparse[0].score)

    async def test_an_index_without_token_vectors_refuses_them(self, store: VectorStore) -> None:
        await store.create(INDEX, IndexSchema(DIMENSIONS))
        with pytest.raises(ValueError, match="stores none"):
            await store.upsert(INDEX, [make_point(1)])
        await store.upsert(INDEX, [make_point(1, tokens=None)])
        assert await store.count(INDEX) == 1

    async def test_upserting_again_replaces_the_whole_point(self, ready: VectorStore) -> None:
        await ready.upsert(INDEX, [make_point(1, "amber", metadata={"lang": "en", "year": 1})])
        await ready.upsert(INDEX, [make_point(1, "birch", metadata={"lang": "de"}, tokens=None)])
        found = await ready.query(INDEX, text="amber birch", limit=10)
        assert [hit.point.read().metadata for hit in found.sparse] == [{"lang": "de"}]
        assert not (await ready.query(INDEX, text="amber", limit=10)).sparse
        assert not (await ready.query(INDEX, dense=unit(1), limit=10, filter=Exists("year"))).dense
        assert (await ready.fetch(INDEX, [make_point(1).id]))[make_point(1).id].tokens is None

    async def test_nothing_given_is_nothing_done(self, ready: VectorStore) -> None:
        await ready.upsert(INDEX, [])
        await ready.delete_documents(INDEX, {})
        assert await ready.fetch(INDEX, []) == await ready.read(INDEX, []) == {}
        assert await ready.count(INDEX) == 0

    async def test_of_equal_ids_in_one_batch_the_last_wins(self, ready: VectorStore) -> None:
        await ready.upsert(INDEX, [make_point(1, "amber"), make_point(1, "birch")])
        assert (await ready.fetch(INDEX, [make_point(1).id]))[make_point(1).id].chunk.text == "birch"
        assert await ready.count(INDEX) == 1

    @pytest.mark.parametrize(
        ("changes", "complaint"),
        [
            ({"id": "seven"}, "UUID"),
            ({"id": str(uuid.UUID(int=0xABC)).upper()}, "canonical"),
            ({"dense": unit(1, 9)}, "shape"),
            ({"dense": np.zeros(DIMENSIONS, np.float32)}, "zero"),
            ({"dense": np.full(DIMENSIONS, np.nan, np.float32)}, "finite"),
            ({"tokens": unit(1, 2, 9).astype(np.float16)}, "shape"),
            ({"tokens": np.full((2, DIMENSIONS), np.inf, np.float16)}, "finite"),
            ({"title": "lone surrogate \ud800"}, "UTF-8"),
            ({"document_id": "lone surrogate \ud800"}, "UTF-8"),
            ({"metadata": {"x": object()}}, "JSON"),
        ],
    )
    async def test_a_point_that_does_not_fit_is_named_and_nothing_of_its_batch_is_written(
        self, ready: VectorStore, changes: dict[str, Any], complaint: str
    ) -> None:
        good = [make_point(number) for number in range(1, 41)]
        bad = replace(make_point(99), **changes)
        with pytest.raises(ValueError, match=complaint) as caught:
            await ready.upsert(INDEX, [*good, bad])
        assert bad.id in str(caught.value)
        assert await ready.count(INDEX) == 0

    async def test_deleting_documents_keeps_the_given_revision_and_newer_ones(self, ready: VectorStore) -> None:
        revisions = (("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1), ("d", 2))
        points = [make_point(n, document=each, revision=number) for n, (each, number) in enumerate(revisions, 1)]
        await ready.upsert(INDEX, points)
        await ready.delete_documents(INDEX, {"a": 2, "b": None, "d": 1, "unknown": None})
        left = {(key.document_id, key.revision) async for key in ready.keys(INDEX)}
        assert left == {("a", 2), ("a", 3), ("c", 1), ("d", 2)}
        assert await ready.count(INDEX) == 4

    async def test_keys_lists_every_point_once(self, ready: VectorStore) -> None:
        points = [make_point(number, document=f"doc-{number // 3}") for number in range(1, 1203)]
        await ready.upsert(INDEX, points)
        keys = [key async for key in ready.keys(INDEX)]
        expected = [PointKey(point.id, point.document_id, point.revision, point.chunk.index) for point in points]
        assert sorted(keys, key=lambda key: key.id) == expected

    async def test_dense_hits_are_ordered_by_cosine_then_id(self, ready: VectorStore) -> None:
        points = [make_point(number) for number in range(1, 60)]
        twins = [make_point(number, dense=unit(5) * 2) for number in (103, 101, 102)]
        await ready.upsert(INDEX, [*points, *twins])
        query = unit(77)
        found = await ready.query(INDEX, dense=query * 3, limit=20)
        exact = {
            point.id: float(point.dense @ query / np.linalg.norm(point.dense))
            for point in (*points, *twins)
            if point.dense is not None
        }
        expected = sorted(exact, key=lambda each: (-round(exact[each], 5), each))[:20]
        assert [hit.point.id for hit in found.dense] == expected
        assert [hit.score for hit in found.dense] == pytest.approx([exact[each] for each in expected], abs=1e-5)
        assert found.sparse == ()
        assert found.dense[0].point.read().dense is None
        nearest = await ready.query(INDEX, dense=unit(5), limit=4)
        assert numbers(nearest.dense) == [5, 101, 102, 103]

    async def test_sparse_hits_rank_rare_words_higher_and_come_only_with_a_match(self, ready: VectorStore) -> None:
        texts = ["amber amber birch", "amber cedar", "amber birch delta", "ember fjord", "heron"]
        await ready.upsert(INDEX, [make_point(number, text) for number, text in enumerate(texts, 1)])
        found = await ready.query(INDEX, text="birch amber", limit=10)
        assert numbers(found.sparse) == [1, 3, 2]
        assert found.dense == ()

    async def test_keyword_scores_are_those_of_every_other_store(self, ready: VectorStore) -> None:
        rng = random.Random(5)
        points = [make_point(number, " ".join(rng.choices(WORDS, k=rng.randint(1, 9)))) for number in range(1, 60)]
        reference = FakeVectorStore()
        for store in (ready, reference):
            await store.create(INDEX, SCHEMA)
            await store.upsert(INDEX, points)
        for text in ("amber", "cedar heron heron", " ".join(WORDS)):
            found, expected = [await store.query(INDEX, text=text, limit=99) for store in (ready, reference)]
            scores = {hit.point.id: hit.score for hit in expected.sparse}
            assert {hit.point.id: hit.score for hit in found.sparse} == pytest.approx(scores, abs=1e-4)

    async def test_the_keyword_arm_reads_title_and_headings(self, ready: VectorStore) -> None:
        chunk = Chunk(0, 0, 5, "birch", ("Heron",))
        await ready.upsert(INDEX, [make_point(1, title="Lagoon", chunk=chunk), make_point(2, "cedar")])
        for word in ("lagoon", "heron", "birch"):
            assert numbers((await ready.query(INDEX, text=word, limit=10)).sparse) == [1]

    async def test_names_are_looked_up_by_title_id_heading_and_identifier(self, ready: VectorStore) -> None:
        """Case, compatibility forms, white space and punctuation do not matter; the best level comes first."""
        chunk = Chunk(0, 0, 9, "raises E0502 and calls as_file", headings=("Error codes",))
        mail = qualify_id("a tenant", "guide/mail.md")
        named = replace(make_point(1), title="smtplib.SMTP", document_id=mail, chunk=chunk)
        await ready.upsert(
            INDEX, [named, replace(make_point(2), title="SMTP"), make_point(3, "smtp e0502 error codes")]
        )
        expected: dict[str, dict[int, int]] = {
            "SMTPLIB  smtp": {1: Level.TITLE},
            "smtp": {2: Level.TITLE, 1: Level.PART_OF_TITLE},
            "SMTP": {2: Level.TITLE + VERBATIM, 1: Level.PART_OF_TITLE + VERBATIM},
            "guide/mail.md": {1: Level.ID + VERBATIM},
            "ＭＡＩＬ": {1: Level.PART_OF_ID},
            "error-codes": {1: Level.HEADING},
            "AS_FILE": {1: Level.IDENTIFIER},
            "E0502": {1: Level.IDENTIFIER, 3: Level.IDENTIFIER},
            "raises": {},
            "?!": {},
            "x" * 9000: {},
        }
        for name, levels in expected.items():
            found = (await ready.query(INDEX, dense=unit(1), name=name, limit=5)).named
            assert dict(zip(numbers(found), (hit.score for hit in found), strict=True)) == levels, name
            assert numbers(found) == list(levels)

    async def test_both_arms_answer_together_and_know_the_same_point(self, ready: VectorStore) -> None:
        await ready.upsert(INDEX, [make_point(1, "amber"), make_point(2, "birch")])
        found = await ready.query(INDEX, dense=unit(1), text="amber", limit=5)
        assert numbers(found.dense)[0] == numbers(found.sparse)[0] == 1
        by_dense, by_sparse = found.dense[0].point, found.sparse[0].point
        assert by_dense.read() == by_sparse.read()
        known = (by_dense.id, by_dense.document_id, by_dense.revision)
        assert known == (by_dense.read().id, by_dense.read().document_id, by_dense.read().revision)

    @pytest.mark.parametrize("text", ["", "?!… --", "\u200b\ufeff"])
    async def test_a_query_without_words_finds_nothing_on_the_keyword_arm(self, ready: VectorStore, text: str) -> None:
        await ready.upsert(INDEX, [make_point(1, "the amber of birch")])
        found = await ready.query(INDEX, dense=unit(1), text=text, limit=5)
        assert (numbers(found.dense), found.sparse) == ([1], ())

    async def test_a_zero_query_vector_has_no_direction_and_finds_nothing(self, ready: VectorStore) -> None:
        await ready.upsert(INDEX, [make_point(1)])
        zero = np.zeros(DIMENSIONS, np.float32)
        assert (await ready.query(INDEX, dense=zero, limit=5)).dense == ()
        assert (await ready.score(INDEX, [make_point(1).id], dense=zero))[make_point(1).id].dense is None

    @pytest.mark.parametrize("query", [unit(1, 9), np.full(DIMENSIONS, np.nan, np.float32)])
    async def test_a_query_vector_that_does_not_fit_is_refused(self, ready: VectorStore, query: FloatArray) -> None:
        with pytest.raises(ValueError, match="dense vector"):
            await ready.query(INDEX, dense=query, limit=5)

    async def test_a_very_long_query_is_answered(self, ready: VectorStore) -> None:
        await ready.upsert(INDEX, [make_point(1, "amber")])
        text = "amber " + " ".join(f"word{number}" for number in range(15_000))
        assert numbers((await ready.query(INDEX, text=text, limit=5)).sparse) == [1]

    async def test_scores_are_those_of_the_search_and_maxsim_sums_over_query_tokens(self, ready: VectorStore) -> None:
        rng = random.Random(3)
        points = [make_point(number, " ".join(rng.choices(WORDS, k=6))) for number in range(1, 80)]
        await ready.upsert(INDEX, points)
        tokens, text = halves(500, 5), "amber cedar cedar heron"
        found = await ready.query(INDEX, dense=unit(400), text=text, limit=100)
        asked = [point.id for point in points[10:40]]
        scores = await ready.score(INDEX, asked, dense=unit(400), text=text, tokens=tokens)
        assert list(scores) == asked
        dense, sparse = ({hit.point.id: hit.score for hit in hits} for hits in (found.dense, found.sparse))
        for point in points[10:40]:
            assert point.tokens is not None
            inner = tokens.astype(np.float32) @ point.tokens.astype(np.float32).T
            assert scores[point.id].dense == pytest.approx(dense[point.id], abs=1e-5)
            assert scores[point.id].sparse == pytest.approx(sparse.get(point.id), abs=1e-4)
            assert scores[point.id].maxsim == pytest.approx(inner.max(axis=1).sum(), abs=0.03)

    async def test_scores_of_nothing_and_of_unknown_points_are_empty(self, ready: VectorStore) -> None:
        assert await ready.score(INDEX, [], dense=unit(1)) == {}
        unknown = str(uuid.UUID(int=404))
        scores = (await ready.score(INDEX, [unknown], dense=unit(1), text="amber", tokens=halves(1)))[unknown]
        assert (scores.dense, scores.sparse, scores.maxsim) == (None, None, None)

    async def test_filters_mean_on_both_arms_what_matches_says(self, ready: VectorStore) -> None:
        await ready.create(INDEX, replace(SCHEMA, fields=FIELDS))
        rng = random.Random(11)
        points = [make_point(number, metadata=random_metadata(rng)) for number in range(1, 201)]
        await ready.upsert(INDEX, points)
        for _ in range(300):
            condition = random_filter(rng)
            expected = {point.id for point in points if matches(condition, point.metadata)}
            found = await ready.query(INDEX, dense=unit(0), text="amber", limit=len(points), filter=condition)
            assert {hit.point.id for hit in found.dense} == expected, condition
            assert {hit.point.id for hit in found.sparse} == expected, condition

    async def test_a_boolean_true_finds_only_what_is_true(self, ready: VectorStore) -> None:
        await ready.create(INDEX, replace(SCHEMA, fields={"public": "boolean"}))
        await ready.upsert(INDEX, [make_point(1, metadata={"public": True}), make_point(2, metadata={"public": False})])
        found = await ready.query(INDEX, dense=unit(1), limit=5, filter=Comparison("eq", "public", True))
        assert numbers(found.dense) == [1]

    async def test_a_filter_on_an_undeclared_field_is_refused(self, ready: VectorStore) -> None:
        with pytest.raises(InvalidFilter, match="colour"):
            await ready.query(INDEX, dense=unit(1), limit=5, filter=Not(Or((Exists("colour"),))))

    async def test_a_store_that_serves_says_so_and_closes_twice(self, ready: VectorStore) -> None:
        await ready.upsert(INDEX, [make_point(1)])
        await ready.flush(INDEX)
        await ready.check()
        assert ready.engine
        assert ready.keyword_tokenizer.startswith("bm25:")
        await ready.close()
        await ready.close()

    async def test_every_call_on_an_unknown_index_says_which(self, store: VectorStore) -> None:
        unknown = IndexRef("nowhere", 3)
        for call in (
            store.upsert(unknown, [make_point(1)]),
            store.flush(unknown),
            store.delete_documents(unknown, {"a": None}),
            store.query(unknown, dense=unit(1), limit=1),
            store.matching(unknown, limit=1),
            store.describe(unknown, [make_point(1).id]),
            store.score(unknown, [make_point(1).id], dense=unit(1)),
            store.fetch(unknown, [make_point(1).id]),
            store.read(unknown, [make_point(1).id]),
            store.read_with_access(unknown, [make_point(1).id]),
            store.count(unknown),
        ):
            with pytest.raises(IndexLost, match=r"nowhere.*3"):
                await call
