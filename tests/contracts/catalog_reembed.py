"""What every catalog does while a collection has two indexes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contracts.catalog_data import LEASE, FakeClock, chunk_keys, doc, ids, make_collection, success, work
from winnow.catalog.rules.entries import REEMBED_PRIORITY
from winnow.core.errors import CollectionNotFound, Conflict
from winnow.core.types import IndexIdentity
from winnow.ports import Catalog, Claim, Outcome

WIDE = IndexIdentity("fake", "wide", "2", 128, "", "word-1", "structure-1", 16)


async def fill(catalog: Catalog, *names: str) -> None:
    """Have documents indexed."""
    await catalog.documents.submit("docs", [doc(name) for name in names])
    await work(catalog)


async def take(catalog: Catalog, limit: int = 100) -> dict[str, Claim]:
    claims = await catalog.queue.claim("worker", limit=limit, lease_seconds=LEASE)
    return {claim.document.id: claim for claim in claims}


async def finish(catalog: Catalog, *, built: int | None) -> list[Claim]:
    """Commit all work as a worker does that knows of the pair of indexes."""
    done: list[Claim] = []
    while claims := await catalog.queue.claim("worker", limit=100, lease_seconds=LEASE):
        assert all(await catalog.queue.commit([replace(success(claim), built=built) for claim in claims]))
        done += claims
    return done


async def progress(catalog: Catalog) -> tuple[int, int, int]:
    found = await catalog.audit.reembed_progress("docs")
    return found.documents, found.done, found.lacking


class ReembedContract:
    """Begin, queue, count, switch, forget."""

    async def test_a_second_index_is_begun_beside_the_first(self, docs: Catalog, clock: FakeClock) -> None:
        before = await docs.collections.get("docs")
        begun = await docs.collections.begin_reembed("docs", WIDE)
        assert begun == await docs.collections.get("docs")
        assert begun.beside is not None
        other = begun.beside
        assert (other.generation, other.identity, other.state, other.started_at) == (2, WIDE, "building", clock.now)
        assert (begun.serving, begun.newer_generation) == (before.serving, 2)

    async def test_one_has_two_indexes_at_most(self, docs: Catalog) -> None:
        await docs.collections.begin_reembed("docs", WIDE)
        with pytest.raises(Conflict, match=r"building.*--drop"):
            await docs.collections.begin_reembed("docs", WIDE)

    async def test_a_collection_that_is_not_there_has_no_second_index(self, catalog: Catalog) -> None:
        for call in (
            catalog.collections.begin_reembed("none", WIDE),
            catalog.queue.enqueue_reembed("none"),
            catalog.audit.reembed_progress("none"),
            catalog.collections.switch_index("none"),
            catalog.collections.clear_beside("none"),
        ):
            with pytest.raises(CollectionNotFound):
                await call

    async def test_with_one_index_there_is_nothing_to_do(self, docs: Catalog) -> None:
        await fill(docs, "a")
        assert await docs.queue.enqueue_reembed("docs") == 0
        assert await progress(docs) == (0, 0, 0)
        with pytest.raises(Conflict, match="winnow reembed -c docs"):
            await docs.collections.switch_index("docs")
        assert await docs.collections.clear_beside("docs") == await docs.collections.get("docs")

    async def test_what_is_indexed_is_queued_a_page_at_a_time_by_id(self, docs: Catalog) -> None:
        await fill(docs, *"edcba")
        await docs.collections.begin_reembed("docs", WIDE)
        assert await progress(docs) == (5, 0, 5)
        assert await docs.queue.enqueue_reembed("docs", limit=2) == 2
        claims = await take(docs)
        assert sorted(claims) == ["a", "b"]
        assert await docs.queue.enqueue_reembed("docs", limit=2) == 2
        assert sorted(await take(docs)) == ["c", "d"]
        assert await docs.queue.enqueue_reembed("docs") == 1
        assert await docs.queue.enqueue_reembed("docs") == 0

    async def test_the_work_brings_content_and_chunks_and_changes_nothing_that_is_seen(self, docs: Catalog) -> None:
        job_id = (await docs.documents.submit("docs", [doc("a", "text", title="T")])).job_id
        (first,) = await work(docs)
        before, job = await docs.documents.get("docs", "a"), await docs.jobs.get(job_id)
        await docs.collections.begin_reembed("docs", WIDE)
        await docs.queue.enqueue_reembed("docs")
        (claim,) = (await take(docs)).values()
        assert (claim.kind, claim.document, claim.revision) == ("reembed", doc("a", "text", title="T"), 1)
        assert (claim.previous, claim.attempts) == (chunk_keys(first), 0)
        assert (await docs.documents.get("docs", "a")).state == "indexed"
        assert list(await docs.queue.commit([replace(success(claim), built=2)])) == [True]
        after = await docs.documents.get("docs", "a")
        assert replace(after, updated_at=before.updated_at) == before
        assert await docs.jobs.get(job_id) == job
        assert await progress(docs) == (1, 1, 0)
        assert await docs.queue.backlog() == 0

    async def test_it_may_outlive_the_job_that_brought_the_document(self, docs: Catalog, clock: FakeClock) -> None:
        await fill(docs, "a")
        clock.advance(60)
        await docs.jobs.prune(before=clock.now)
        await docs.collections.begin_reembed("docs", WIDE)
        await docs.queue.enqueue_reembed("docs")
        assert ids(await finish(docs, built=2)) == ["a"]

    async def test_writes_come_first(self, docs: Catalog, clock: FakeClock) -> None:
        await fill(docs, "a", "b")
        await docs.collections.begin_reembed("docs", WIDE)
        await docs.queue.enqueue_reembed("docs")
        clock.advance(1)
        await docs.documents.submit("docs", [doc("new")], priority=REEMBED_PRIORITY + 1)
        assert list(await take(docs, limit=1)) == ["new"]

    async def test_a_batch_that_did_not_know_of_the_second_index_is_queued_again(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b")])
        claims = await take(docs)
        await docs.collections.begin_reembed("docs", WIDE)
        await docs.queue.commit([success(claims["a"]), replace(success(claims["b"]), built=2)])
        assert await progress(docs) == (2, 1, 1)
        (again,) = (await take(docs)).values()
        assert (again.document.id, again.kind) == ("a", "reembed")

    async def test_a_batch_for_a_pair_that_is_gone_does_not_count_for_the_next(self, docs: Catalog) -> None:
        await fill(docs, "a")
        await docs.collections.begin_reembed("docs", WIDE)
        await docs.queue.enqueue_reembed("docs")
        (late,) = (await take(docs)).values()
        await docs.collections.clear_beside("docs")
        assert list(await docs.queue.commit([replace(success(late), built=2)])) == [False]
        await docs.collections.begin_reembed("docs", WIDE)
        await docs.queue.enqueue_reembed("docs")
        await docs.queue.commit([replace(success(late), built=2)])
        assert await progress(docs) == (1, 0, 1)
        assert [claim.kind for claim in await finish(docs, built=3)] == ["reembed"]
        assert await progress(docs) == (1, 1, 0)

    async def test_a_change_meanwhile_overtakes_the_work(self, docs: Catalog) -> None:
        await fill(docs, "a", "b")
        await docs.collections.begin_reembed("docs", WIDE)
        await docs.queue.enqueue_reembed("docs")
        claims = await take(docs)
        job_id = (await docs.documents.submit("docs", [doc("a", "changed")])).job_id
        await docs.documents.tombstone("docs", ["b"])
        assert await docs.queue.enqueue_reembed("docs") == 0
        assert (
            list(await docs.queue.commit([replace(success(claim), built=2) for claim in claims.values()]))
            == [False] * 2
        )
        assert await progress(docs) == (1, 0, 1)  # the older revision of a is in the old index only
        assert {(claim.document.id, claim.kind) for claim in await finish(docs, built=2)} == {
            ("a", "index"), ("b", "delete"),
        }  # fmt: skip
        assert await progress(docs) == (1, 1, 0)
        assert (await docs.jobs.get(job_id)).indexed == 1

    async def test_work_comes_back_after_a_pause_or_a_lost_worker(self, docs: Catalog, clock: FakeClock) -> None:
        await fill(docs, "a", "b")
        await docs.collections.begin_reembed("docs", WIDE)
        await docs.queue.enqueue_reembed("docs")
        claims = await take(docs)
        await docs.queue.commit([Outcome(claims["a"], error="busy", retry_in=5)])
        assert await docs.queue.enqueue_reembed("docs") == 0
        clock.advance(LEASE)
        again = await take(docs)
        assert {name: (claim.kind, claim.attempts) for name, claim in again.items()} == {
            "a": ("reembed", 1), "b": ("reembed", 1),
        }  # fmt: skip

    async def test_failures_are_listed_stay_searchable_and_are_forgiven_at_the_next_begin(self, docs: Catalog) -> None:
        await fill(docs, "a", "b")
        await docs.collections.begin_reembed("docs", WIDE)
        await docs.queue.enqueue_reembed("docs")
        claims = await take(docs)
        failed = Outcome(claims["b"], error="too odd\0", error_code="upstream_rejected")
        await docs.queue.commit([replace(success(claims["a"]), built=2), failed])
        found = await docs.audit.reembed_progress("docs")
        assert (found.documents, found.done, found.lacking, found.failed) == (2, 1, 1, 1)
        assert [(each.document_id, each.code, each.message) for each in found.failures] == [
            ("b", "upstream_rejected", "too odd")
        ]
        assert (await docs.documents.get("docs", "b")).state == "indexed"
        assert await docs.queue.enqueue_reembed("docs") == 0
        await docs.collections.clear_beside("docs")
        await docs.collections.begin_reembed("docs", WIDE)
        assert (await docs.audit.reembed_progress("docs")).failures == ()
        assert await docs.queue.enqueue_reembed("docs") == 2

    async def test_a_changed_document_that_fails_is_named_but_not_waited_for(self, docs: Catalog) -> None:
        await fill(docs, "a", "b")
        await docs.documents.submit("docs", [doc("a", "changed")])
        await docs.queue.commit([Outcome(claim, error="no") for claim in (await take(docs)).values()])
        await docs.collections.begin_reembed("docs", WIDE)
        found = await docs.audit.reembed_progress("docs")
        assert (found.documents, found.done, found.lacking, found.failed) == (2, 0, 1, 0)
        assert [each.document_id for each in found.failures] == ["a"]
        await docs.queue.enqueue_reembed("docs")
        await finish(docs, built=2)
        assert (await docs.collections.switch_index("docs")).serving.generation == 2

    async def test_a_switch_is_refused_with_the_number_of_what_it_would_lose(self, docs: Catalog) -> None:
        await fill(docs, "a", "b")
        await docs.collections.begin_reembed("docs", WIDE)
        before = await docs.collections.get("docs")
        with pytest.raises(Conflict, match=r"^2 documents of collection 'docs'.*--force"):
            await docs.collections.switch_index("docs")
        assert await docs.collections.get("docs") == before
        assert (await docs.collections.switch_index("docs", force=True)).serving.generation == 2

    async def test_a_switch_exchanges_index_and_identity_and_so_does_the_way_back(self, docs: Catalog) -> None:
        await fill(docs, "a")
        before = await docs.collections.begin_reembed("docs", WIDE)
        await docs.queue.enqueue_reembed("docs")
        await finish(docs, built=2)
        after = await docs.collections.switch_index("docs")
        assert after == await docs.collections.get("docs")
        assert (after.serving.generation, after.serving.identity, after.newer_generation) == (2, WIDE, 2)
        assert after.beside is not None
        assert (after.beside.generation, after.beside.state) == (1, "kept")
        assert after.beside.identity == before.serving.identity
        assert await progress(docs) == (1, 1, 0)
        await docs.documents.submit("docs", [doc("b")])
        await finish(docs, built=2)
        back = await docs.collections.switch_index("docs")
        assert (back.serving.generation, back.serving.identity) == (1, before.serving.identity)
        assert back.beside is not None
        assert (back.beside.generation, back.beside.state, back.newer_generation) == (2, "kept", 2)
        assert await progress(docs) == (2, 2, 0)

    async def test_to_go_back_is_refused_too_where_it_loses_something(self, docs: Catalog) -> None:
        await docs.collections.begin_reembed("docs", WIDE)
        await docs.collections.switch_index("docs")
        await docs.documents.submit("docs", [doc("a")])
        await docs.queue.commit([success(claim) for claim in (await take(docs)).values()])  # by one that did not know
        with pytest.raises(Conflict, match="1 documents"):
            await docs.collections.switch_index("docs")

    async def test_forgetting_the_second_index_ends_the_work_on_it(self, docs: Catalog) -> None:
        await fill(docs, "a", "b")
        await docs.collections.begin_reembed("docs", WIDE)
        await docs.queue.enqueue_reembed("docs")
        await take(docs, limit=1)
        await docs.documents.submit("docs", [doc("new")])
        cleared = await docs.collections.clear_beside("docs")
        assert (cleared.beside, cleared.serving.generation, cleared.newer_generation) == (None, 1, None)
        assert cleared == await docs.collections.get("docs")
        assert [(claim.document.id, claim.kind) for claim in await work(docs)] == [("new", "index")]
        assert await docs.queue.backlog() == 0

    async def test_a_number_is_never_used_twice(self, docs: Catalog) -> None:
        numbers = []
        for _ in range(3):
            other = (await docs.collections.begin_reembed("docs", WIDE)).beside
            numbers.append(0 if other is None else other.generation)
            await docs.collections.clear_beside("docs")
        assert numbers == [2, 3, 4]
        await docs.collections.begin_reembed("docs", WIDE)
        await docs.collections.switch_index("docs")
        await docs.collections.clear_beside("docs")
        begun = await docs.collections.begin_reembed("docs", make_collection().serving.identity)
        assert (begun.serving.generation, begun.newer_generation, begun.last_generation) == (5, 6, 6)

    async def test_an_update_leaves_the_pair_as_it_is(self, docs: Catalog) -> None:
        stale = await docs.collections.get("docs")
        begun = await docs.collections.begin_reembed("docs", WIDE)
        assert await docs.collections.update(replace(stale, metadata={"new": 1})) == replace(begun, metadata={"new": 1})
        switched = await docs.collections.switch_index("docs")
        assert await docs.collections.update(replace(begun, metadata={"new": 1})) == switched

    async def test_it_is_of_one_collection(self, docs: Catalog) -> None:
        await docs.collections.create(make_collection("others"))
        await docs.documents.submit("others", [doc("x")])
        await fill(docs, "a")
        await docs.collections.begin_reembed("docs", WIDE)
        assert await docs.queue.enqueue_reembed("docs") == 1
        assert ids(await finish(docs, built=2)) == ["a"]
        assert (await docs.collections.get("others")).beside is None
        assert (await docs.documents.get("others", "x")).state == "indexed"
