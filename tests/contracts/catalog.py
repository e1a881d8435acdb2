"""What every catalog does. A backend supplies the fixtures ``clock`` and ``catalog``, and passes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from retrieval.errors import CollectionNotFound, DocumentNotFound, JobNotFound
from retrieval.ports import Catalog, ChunkKey, Claim, Counts, Outcome
from retrieval.types import Chunking, Collection, Document, IndexIdentity

LEASE = 60.0


class FakeClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2024, 5, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def make_collection(name: str = "docs", uid: str | None = None) -> Collection:
    """A collection with something in every field."""
    return Collection(
        name=name,
        uid=uid or f"uid-{name}",
        identity=IndexIdentity("fake", "words", "1", 64, "", "word-1", "structure-1", 16),
        chunking=Chunking(200, 20),
        fields={"lang": "keyword", "year": "integer"},
        embed_instruct="find it",
        metadata={"owner": "Zoë", "nested": {"a": [1, 2.5, None]}},
    )


def doc(document_id: str, text: str = "some text", **fields: object) -> Document:
    """A document of few words."""
    return replace(Document(document_id, text), **fields)


def chunk_keys(claim: Claim, number: int = 2) -> tuple[ChunkKey, ...]:
    """Chunks as a worker would report them."""
    return tuple(ChunkKey(f"hash-{i}", f"{claim.document.id}/{claim.revision}/{i}") for i in range(number))


def success(claim: Claim, number: int = 2) -> Outcome:
    """The outcome of work that went well."""
    if claim.kind == "delete":
        return Outcome(claim)
    return Outcome(claim, chunks=chunk_keys(claim, number), embedded=number)


async def work(catalog: Catalog, owner: str = "worker") -> list[Claim]:
    """Claim and commit everything that is due."""
    done: list[Claim] = []
    while claims := await catalog.claim(owner, limit=100, lease_seconds=LEASE):
        assert all(await catalog.commit([success(claim) for claim in claims]))
        done.extend(claims)
    return done


def ids(claims: Sequence[Claim]) -> list[str]:
    return [claim.document.id for claim in claims]


class CollectionContract:
    """Collections: made once, replaced, taken out of service, purged."""

    async def test_a_new_collection_is_stored_with_all_it_has(self, catalog: Catalog, clock: FakeClock) -> None:
        made = await catalog.create_collection(make_collection())
        assert made == replace(make_collection(), created_at=clock.now)
        assert await catalog.get_collection("docs") == made

    async def test_an_existing_name_keeps_what_is_stored(self, catalog: Catalog) -> None:
        first = await catalog.create_collection(make_collection())
        again = await catalog.create_collection(replace(make_collection(), uid="other", fields={}))
        assert again == first

    async def test_an_unknown_collection_is_not_found(self, catalog: Catalog) -> None:
        with pytest.raises(CollectionNotFound, match="nowhere"):
            await catalog.get_collection("nowhere")
        with pytest.raises(CollectionNotFound):
            await catalog.update_collection(make_collection("nowhere"))
        with pytest.raises(CollectionNotFound):
            await catalog.submit("nowhere", [doc("a")])
        with pytest.raises(CollectionNotFound):
            await catalog.tombstone("nowhere", ["a"])
        with pytest.raises(CollectionNotFound):
            await catalog.list_documents("nowhere")
        with pytest.raises(CollectionNotFound):
            await catalog.counts("nowhere")
        with pytest.raises(CollectionNotFound):
            [stored async for stored in catalog.scan("nowhere")]

    async def test_collections_are_listed_by_name(self, catalog: Catalog) -> None:
        for name in ("b", "a", "B"):
            await catalog.create_collection(make_collection(name))
        assert [collection.name for collection in await catalog.list_collections()] == ["B", "a", "b"]

    async def test_an_update_replaces_what_may_change_and_nothing_else(self, catalog: Catalog) -> None:
        made = await catalog.create_collection(make_collection())
        wanted = replace(
            made, uid="ignored", fields={"lang": "keyword"}, rerank_instruct="order it", metadata={}, generation=2
        )
        changed = await catalog.update_collection(wanted)
        assert changed == replace(wanted, uid=made.uid)
        assert await catalog.get_collection("docs") == changed

    async def test_a_collection_being_deleted_is_not_found_but_listed_as_unfinished(self, catalog: Catalog) -> None:
        made = await catalog.create_collection(make_collection())
        marked = await catalog.mark_deleting("docs")
        assert marked == replace(made, status="deleting")
        assert await catalog.list_collections() == []
        assert await catalog.list_collections(deleting=True) == [marked]
        with pytest.raises(CollectionNotFound):
            await catalog.get_collection("docs")
        with pytest.raises(CollectionNotFound):
            await catalog.mark_deleting("docs")

    async def test_the_name_is_free_again_at_once(self, catalog: Catalog) -> None:
        await catalog.create_collection(make_collection(uid="old"))
        await catalog.submit("docs", [doc("a")])
        await catalog.mark_deleting("docs")
        made = await catalog.create_collection(make_collection(uid="new"))
        assert made.uid == "new"
        assert await catalog.counts("docs") == Counts()
        await catalog.purge_collection("old")
        assert (await catalog.get_collection("docs")).uid == "new"

    async def test_a_purge_removes_documents_and_jobs(self, catalog: Catalog) -> None:
        await catalog.create_collection(make_collection())
        job_id = (await catalog.submit("docs", [doc("a"), doc("b")])).job_id
        await catalog.mark_deleting("docs")
        await catalog.purge_collection("uid-docs")
        assert await catalog.list_collections(deleting=True) == []
        with pytest.raises(JobNotFound):
            await catalog.get_job(job_id)
        await catalog.create_collection(make_collection())
        assert await catalog.counts("docs") == Counts()

    async def test_a_purge_spares_a_collection_in_service(self, catalog: Catalog) -> None:
        await catalog.create_collection(make_collection())
        await catalog.submit("docs", [doc("a")])
        await catalog.purge_collection("uid-docs")
        await catalog.purge_collection("unknown")
        assert (await catalog.counts("docs")).documents == 1

    async def test_work_of_a_collection_being_deleted_is_neither_claimed_nor_committed(self, catalog: Catalog) -> None:
        await catalog.create_collection(make_collection())
        await catalog.submit("docs", [doc("a"), doc("b")])
        claims = await catalog.claim("worker", limit=1, lease_seconds=LEASE)
        await catalog.mark_deleting("docs")
        assert await catalog.backlog() == 0
        assert list(await catalog.claim("other", limit=10, lease_seconds=LEASE)) == []
        assert list(await catalog.commit([success(claim) for claim in claims])) == [False]
        assert await catalog.renew("worker", claims, lease_seconds=LEASE) == 0


class SubmissionContract:
    """Documents: accepted, found unchanged, rejected, read back."""

    async def test_a_document_comes_back_as_it_was_handed_in(self, docs: Catalog, clock: FakeClock) -> None:
        document = doc(
            "päth/1",
            "line one\nline two 🎉",
            format="markdown",
            title="Title",
            url="https://example.org/ä",
            metadata={"z": 1, "a": {"deep": [True, None, 1.5, "\0"]}},
            version=7,
        )
        await docs.submit("docs", [document], source="files")
        stored = await docs.get_document("docs", "päth/1")
        assert stored.document == document
        assert (stored.revision, stored.state, stored.source) == (1, "pending", "files")
        assert (stored.chunks, stored.error, stored.updated_at) == (0, None, clock.now)
        assert len(stored.content_hash) == 64

    async def test_an_unknown_document_is_not_found(self, docs: Catalog) -> None:
        with pytest.raises(DocumentNotFound, match="nothing"):
            await docs.get_document("docs", "nothing")

    async def test_the_same_content_again_is_unchanged(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a")])
        while_pending = await docs.submit("docs", [doc("a")])
        await work(docs)
        once_indexed = await docs.submit("docs", [doc("a"), doc("b")])
        assert (while_pending.accepted, while_pending.unchanged) == (1, 1)
        assert (once_indexed.accepted, once_indexed.unchanged) == (2, 1)
        stored = await docs.get_document("docs", "a")
        assert (stored.revision, stored.state) == (1, "indexed")

    @pytest.mark.parametrize(
        "change",
        [{"text": "other"}, {"title": "t"}, {"url": "u"}, {"format": "html"}, {"metadata": {"k": 1}}],
        ids=lambda change: next(iter(change)),
    )
    async def test_any_change_of_content_makes_a_new_revision(self, docs: Catalog, change: dict[str, object]) -> None:
        await docs.submit("docs", [doc("a")])
        await work(docs)
        submission = await docs.submit("docs", [doc("a", **change)])
        stored = await docs.get_document("docs", "a")
        assert submission.unchanged == 0
        assert (stored.revision, stored.state) == (2, "pending")
        assert stored.document == doc("a", **change)
        assert stored.chunks == 2, "the old revision stays searchable until the new one is"

    async def test_the_order_of_metadata_keys_is_no_change(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a", metadata={"x": 1, "y": {"p": 1, "q": 2}})])
        again = await docs.submit("docs", [doc("a", metadata={"y": {"q": 2, "p": 1}, "x": 1})])
        assert again.unchanged == 1

    async def test_a_version_must_not_go_backwards(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a", version=7)])
        refused = await docs.submit("docs", [doc("b"), doc("a", "older", version=6), doc("c")])
        assert refused.accepted == 2
        (rejection,) = refused.rejected
        assert (rejection.index, rejection.id, rejection.code) == (1, "a", "version_conflict")
        assert "6" in rejection.message
        assert "7" in rejection.message
        accepted = await docs.submit("docs", [doc("a", "same version", version=7)])
        assert (accepted.accepted, accepted.unchanged) == (1, 0)

    async def test_a_higher_version_of_the_same_content_is_remembered(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a", version=7)])
        assert (await docs.submit("docs", [doc("a", version=9)])).unchanged == 1
        assert (await docs.get_document("docs", "a")).document.version == 9
        assert (await docs.submit("docs", [doc("a", version=8)])).rejected[0].code == "version_conflict"

    async def test_a_document_without_a_version_keeps_the_stored_one(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a", version=7)])
        await docs.submit("docs", [doc("a", "changed")])
        assert (await docs.get_document("docs", "a")).document.version == 7

    async def test_an_id_that_stands_twice_is_rejected_the_second_time(self, docs: Catalog) -> None:
        submission = await docs.submit("docs", [doc("a", "first"), doc("a", "second"), doc("b"), doc("a", "third")])
        assert submission.accepted == 2
        assert [(r.index, r.id, r.code) for r in submission.rejected] == [
            (1, "a", "duplicate_id"),
            (3, "a", "duplicate_id"),
        ]
        assert (await docs.get_document("docs", "a")).document.text == "first"

    @pytest.mark.parametrize(
        "bad",
        [
            {"text": "nul \0 byte"},
            {"title": "\0"},
            {"text": "half \ud800 a character"},
            {"metadata": {"n": 2**80}},
            {"version": 2**70},
        ],
        ids=["nul", "nul-title", "surrogate", "integer", "version"],
    )
    async def test_what_no_database_can_hold_is_rejected_and_the_rest_accepted(
        self, docs: Catalog, bad: dict[str, object]
    ) -> None:
        submission = await docs.submit("docs", [doc("good"), doc("bad", **bad), doc("fine")])
        assert submission.accepted == 2
        assert [(r.index, r.code) for r in submission.rejected] == [(1, "invalid_document")]
        assert [key.id for key in await docs.list_documents("docs")] == ["fine", "good"]

    async def test_a_failed_document_is_tried_again_when_it_is_sent_again(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a")])
        (claim,) = await docs.claim("worker", limit=1, lease_seconds=LEASE)
        await docs.commit([Outcome(claim, error="it broke", error_code="upstream_rejected")])
        again = await docs.submit("docs", [doc("a")])
        stored = await docs.get_document("docs", "a")
        assert again.unchanged == 0
        assert (stored.state, stored.error, stored.error_code) == ("pending", None, None)

    async def test_who_hands_a_document_in_last_is_its_source(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a")], source="one")
        await docs.submit("docs", [doc("a")], source="two")
        assert (await docs.get_document("docs", "a")).source == "two"
        assert [s.document.id async for s in docs.scan("docs", source="two")] == ["a"]
        assert [s.document.id async for s in docs.scan("docs", source="one")] == []

    async def test_a_large_batch_and_an_empty_one_are_accepted(self, docs: Catalog) -> None:
        many = [doc(f"{number:05}") for number in range(2500)]
        assert (await docs.submit("docs", many)).accepted == 2500
        assert (await docs.submit("docs", many)).unchanged == 2500
        assert (await docs.submit("docs", [])).accepted == 0
        assert (await docs.counts("docs")).pending == 2500

    async def test_a_listing_pages_by_the_bytes_of_the_id(self, docs: Catalog) -> None:
        names = ["a", "B", "ä", "a/b", "Z", "~", "🎉", "0", "é", "e"]
        await docs.submit("docs", [doc(name) for name in names])
        found: list[str] = []
        while page := await docs.list_documents("docs", after=found[-1] if found else "", limit=3):
            found.extend(key.id for key in page)
        assert found == sorted(names)

    async def test_a_scan_passes_every_document_once_in_order(self, docs: Catalog) -> None:
        names = [f"{number:03}" for number in range(150)]
        await docs.submit("docs", [doc(name, name) for name in reversed(names)])
        await docs.tombstone("docs", ["077"])
        found = [stored.document async for stored in docs.scan("docs")]
        assert [document.id for document in found] == [name for name in names if name != "077"]
        assert all(document.id == document.text for document in found)

    async def test_a_listing_filters_by_source_and_state(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a"), doc("b")], source="one")
        await work(docs)
        await docs.submit("docs", [doc("c")], source="two")
        await docs.tombstone("docs", ["b"])

        async def listed(**filters: str) -> list[str]:
            return [key.id for key in await docs.list_documents("docs", **filters)]  # type: ignore[arg-type]

        assert await listed() == ["a", "c"]
        assert await listed(source="one") == ["a"]
        assert await listed(state="pending") == ["c"]
        assert await listed(state="deleting") == ["b"]

    async def test_counts_tell_the_states(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a"), doc("b"), doc("c"), doc("d")])
        await work(docs)
        await docs.submit("docs", [doc("b", "changed"), doc("e")])
        await docs.tombstone("docs", ["c"])
        for claim in await docs.claim("worker", limit=10, lease_seconds=LEASE):
            if claim.document.id == "e":
                await docs.commit([Outcome(claim, error="no")])
        assert await docs.counts("docs") == Counts(documents=4, chunks=6, pending=1, indexed=2, failed=1, deleting=1)


class DeletionContract:
    """Tombstones: hidden at once, gone once a worker has removed the points."""

    async def test_a_tombstone_hides_the_document_until_its_row_goes(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a"), doc("b")])
        await work(docs)
        submission = await docs.tombstone("docs", ["a"])
        with pytest.raises(DocumentNotFound):
            await docs.get_document("docs", "a")
        assert [key.id for key in await docs.list_documents("docs")] == ["b"]
        (claim,) = await docs.claim("worker", limit=10, lease_seconds=LEASE)
        assert (claim.kind, claim.document.id) == ("delete", "a")
        assert list(await docs.commit([Outcome(claim)])) == [True]
        assert [key.id for key in await docs.list_documents("docs", state="deleting")] == []
        job = await docs.get_job(submission.job_id)
        assert (job.status, job.total, job.deleted) == ("done", 1, 1)

    async def test_unknown_ids_and_repeated_ones_count_as_unchanged(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a")])
        submission = await docs.tombstone("docs", ["a", "nothing", "a"])
        assert (submission.accepted, submission.unchanged, submission.rejected) == (2, 1, ())
        again = await docs.tombstone("docs", ["a"])
        assert (again.accepted, again.unchanged) == (1, 1)

    async def test_a_document_sent_again_while_it_is_deleted_lives(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a", version=5)])
        await work(docs)
        deletion = await docs.tombstone("docs", ["a"])
        (stale,) = await docs.claim("worker", limit=1, lease_seconds=LEASE)
        submission = await docs.submit("docs", [doc("a", version=3)])
        assert (submission.accepted, submission.unchanged) == (1, 0)
        stored = await docs.get_document("docs", "a")
        assert (stored.state, stored.revision, stored.document.version) == ("pending", 2, 3)
        assert list(await docs.commit([Outcome(stale)])) == [False]
        (claim,) = await docs.claim("worker", limit=1, lease_seconds=LEASE)
        assert (claim.kind, claim.previous) == ("index", ())
        job = await docs.get_job(deletion.job_id)
        assert (job.status, job.superseded) == ("done", 1)

    async def test_a_tombstone_overtakes_a_running_worker(self, docs: Catalog) -> None:
        first = await docs.submit("docs", [doc("a")])
        (claim,) = await docs.claim("worker", limit=1, lease_seconds=LEASE)
        await docs.tombstone("docs", ["a"])
        assert list(await docs.commit([success(claim)])) == [False]
        job = await docs.get_job(first.job_id)
        assert (job.status, job.superseded, job.chunks_embedded) == ("done", 1, 0)
        assert [claim.kind for claim in await work(docs)] == ["delete"]

    async def test_a_deletion_that_fails_stays_hidden_until_it_is_asked_for_again(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a")])
        await work(docs)
        first = await docs.tombstone("docs", ["a"])
        (claim,) = await docs.claim("worker", limit=1, lease_seconds=LEASE)
        await docs.commit([Outcome(claim, error="disk", error_code="storage_failure")])
        assert (await docs.get_job(first.job_id)).failed == 1
        with pytest.raises(DocumentNotFound):
            await docs.get_document("docs", "a")
        assert await work(docs) == []
        assert (await docs.tombstone("docs", ["a"])).unchanged == 0
        assert ids(await work(docs)) == ["a"]

    async def test_a_document_that_comes_back_is_safe_from_workers_of_its_former_life(
        self, docs: Catalog, clock: FakeClock
    ) -> None:
        await docs.submit("docs", [doc("a")])
        (stale,) = await docs.claim("slow", limit=1, lease_seconds=LEASE)
        clock.advance(LEASE + 1)
        await docs.tombstone("docs", ["a"])
        await work(docs)
        await docs.submit("docs", [doc("a", "born again")])
        await docs.claim("worker", limit=1, lease_seconds=LEASE)
        assert list(await docs.commit([success(stale)])) == [False]
        assert (await docs.get_document("docs", "a")).state == "pending"


class LedgerContract:
    """Work: claimed under a lease, fenced by tokens, served in order."""

    async def test_a_claim_carries_what_the_work_needs(self, docs: Catalog) -> None:
        document = doc("a", "text", title="T", metadata={"k": "v"}, version=2)
        await docs.submit("docs", [document])
        (claim,) = await docs.claim("worker", limit=10, lease_seconds=LEASE)
        assert (claim.collection, claim.kind, claim.document) == ("docs", "index", document)
        assert (claim.revision, claim.previous, claim.attempts) == (1, (), 0)

    async def test_a_new_revision_brings_the_chunks_of_the_indexed_one(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a")])
        (first,) = await work(docs)
        await docs.submit("docs", [doc("a", "changed")])
        (second,) = await docs.claim("worker", limit=10, lease_seconds=LEASE)
        assert second.revision == 2
        assert second.previous == chunk_keys(first)

    async def test_a_failed_revision_leaves_the_indexed_chunks_known(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a")])
        (first,) = await work(docs)
        await docs.submit("docs", [doc("a", "changed")])
        (second,) = await docs.claim("worker", limit=10, lease_seconds=LEASE)
        await docs.commit([Outcome(second, error="no")])
        await docs.submit("docs", [doc("a", "changed")])
        (third,) = await docs.claim("worker", limit=10, lease_seconds=LEASE)
        assert third.previous == chunk_keys(first)
        assert (await docs.get_document("docs", "a")).chunks == 2

    async def test_leased_work_is_handed_to_nobody_else(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a"), doc("b"), doc("c")])
        one = await docs.claim("one", limit=2, lease_seconds=LEASE)
        two = await docs.claim("two", limit=2, lease_seconds=LEASE)
        assert (ids(one), ids(two)) == (["a", "b"], ["c"])
        assert list(await docs.claim("three", limit=2, lease_seconds=LEASE)) == []

    async def test_work_comes_back_when_the_lease_runs_out(self, docs: Catalog, clock: FakeClock) -> None:
        await docs.submit("docs", [doc("a")])
        (first,) = await docs.claim("one", limit=1, lease_seconds=LEASE)
        clock.advance(LEASE - 1)
        assert list(await docs.claim("two", limit=1, lease_seconds=LEASE)) == []
        clock.advance(1)
        (second,) = await docs.claim("two", limit=1, lease_seconds=LEASE)
        assert second.token > first.token
        assert (second.revision, second.attempts) == (1, 1)
        assert list(await docs.commit([success(first), success(second)])) == [False, True]

    async def test_a_late_commit_counts_if_nobody_took_over(self, docs: Catalog, clock: FakeClock) -> None:
        await docs.submit("docs", [doc("a")])
        claims = await docs.claim("one", limit=1, lease_seconds=LEASE)
        clock.advance(LEASE * 2)
        assert list(await docs.commit([success(claim) for claim in claims])) == [True]

    async def test_a_commit_counts_once(self, docs: Catalog) -> None:
        job_id = (await docs.submit("docs", [doc("a")])).job_id
        (claim,) = await docs.claim("one", limit=1, lease_seconds=LEASE)
        retry = Outcome(claim, error="busy", retry_in=0)
        assert list(await docs.commit([retry, retry])) == [True, False]
        assert list(await docs.commit([success(claim)])) == [False]
        (claim,) = await docs.claim("one", limit=1, lease_seconds=LEASE)
        assert list(await docs.commit([success(claim)])) == [True]
        assert list(await docs.commit([success(claim)])) == [False]
        assert (await docs.get_job(job_id)).indexed == 1

    async def test_a_changed_document_overtakes_a_running_worker(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a"), doc("b")])
        claims = await docs.claim("one", limit=2, lease_seconds=LEASE)
        await docs.submit("docs", [doc("a", "changed")])
        assert list(await docs.commit([success(claim) for claim in claims])) == [False, True]
        (claim,) = await docs.claim("two", limit=2, lease_seconds=LEASE)
        assert (claim.document, claim.revision, claim.attempts) == (doc("a", "changed"), 2, 0)

    async def test_a_renewed_lease_holds_longer(self, docs: Catalog, clock: FakeClock) -> None:
        await docs.submit("docs", [doc("a"), doc("b")])
        claims = await docs.claim("one", limit=2, lease_seconds=LEASE)
        clock.advance(LEASE - 1)
        assert await docs.renew("one", claims, lease_seconds=LEASE) == 2
        clock.advance(LEASE - 1)
        assert list(await docs.claim("two", limit=2, lease_seconds=LEASE)) == []
        assert await docs.renew("two", claims, lease_seconds=LEASE) == 0
        clock.advance(1)
        assert await docs.renew("one", claims, lease_seconds=LEASE) == 0
        assert ids(await docs.claim("two", limit=2, lease_seconds=LEASE)) == ["a", "b"]

    async def test_a_lease_that_was_overtaken_is_not_renewed(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a"), doc("b"), doc("c")])
        claims = await docs.claim("one", limit=3, lease_seconds=LEASE)
        await docs.submit("docs", [doc("a", "changed")])
        await docs.commit([success(claims[1])])
        assert await docs.renew("one", claims, lease_seconds=LEASE) == 1

    async def test_released_work_is_due_at_once(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a"), doc("b"), doc("c")])
        await docs.claim("one", limit=1, lease_seconds=LEASE)
        await docs.claim("two", limit=1, lease_seconds=LEASE)
        assert await docs.release("one") == 1
        assert await docs.release("one") == 0
        assert ids(await docs.claim("three", limit=9, lease_seconds=LEASE)) == ["a", "c"]
        assert await docs.release() == 3
        assert len(await docs.claim("four", limit=9, lease_seconds=LEASE)) == 3

    async def test_the_highest_priority_is_served_first_then_the_oldest(self, docs: Catalog, clock: FakeClock) -> None:
        await docs.submit("docs", [doc("old")])
        clock.advance(1)
        await docs.submit("docs", [doc("newer")])
        clock.advance(1)
        await docs.submit("docs", [doc("urgent")], priority=10)
        order = [ids(await docs.claim("worker", limit=1, lease_seconds=LEASE)) for _ in range(3)]
        assert order == [["urgent"], ["old"], ["newer"]]

    async def test_one_call_serves_one_collection_and_the_next_call_another(
        self, catalog: Catalog, clock: FakeClock
    ) -> None:
        for name in ("big", "small"):
            await catalog.create_collection(make_collection(name))
            await catalog.submit(name, [doc(str(number)) for number in range(6 if name == "big" else 2)])
            clock.advance(1)
        served = []
        while claims := await catalog.claim("worker", limit=2, lease_seconds=LEASE):
            (name,) = {claim.collection for claim in claims}
            served.append(name)
        assert served == ["big", "small", "big", "big"]

    async def test_priority_comes_before_fairness(self, catalog: Catalog) -> None:
        for name in ("one", "two"):
            await catalog.create_collection(make_collection(name))
        await catalog.submit("one", [doc("a"), doc("b")], priority=10)
        await catalog.submit("two", [doc("c")])
        order = [ids(await catalog.claim("worker", limit=1, lease_seconds=LEASE)) for _ in range(3)]
        assert order == [["a"], ["b"], ["c"]]

    async def test_an_error_with_a_pause_is_tried_again_after_it(self, docs: Catalog, clock: FakeClock) -> None:
        job_id = (await docs.submit("docs", [doc("a")])).job_id
        (claim,) = await docs.claim("worker", limit=1, lease_seconds=LEASE)
        assert list(await docs.commit([Outcome(claim, error="busy", retry_in=5)])) == [True]
        assert (await docs.get_document("docs", "a")).state == "pending"
        assert (await docs.get_job(job_id)).pending == 1
        clock.advance(4.9)
        assert list(await docs.claim("worker", limit=1, lease_seconds=LEASE)) == []
        clock.advance(0.1)
        (again,) = await docs.claim("worker", limit=1, lease_seconds=LEASE)
        assert again.attempts == 1

    async def test_an_error_for_good_is_kept_with_the_document(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a"), doc("b")])
        one, two = await docs.claim("worker", limit=2, lease_seconds=LEASE)
        await docs.commit(
            [Outcome(one, error="broken \0 \ud800", error_code="invalid_document"), Outcome(two, error="?")]
        )
        stored = await docs.get_document("docs", "a")
        assert (stored.state, stored.error, stored.error_code) == ("failed", "broken  ?", "invalid_document")
        assert (await docs.get_document("docs", "b")).error_code == "internal_error"
        assert await docs.backlog() == 0

    async def test_success_forgets_attempts(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a")])
        (claim,) = await docs.claim("worker", limit=1, lease_seconds=LEASE)
        await docs.commit([Outcome(claim, error="busy", retry_in=0)])
        await work(docs)
        await docs.submit("docs", [doc("a", "changed")])
        (claim,) = await docs.claim("worker", limit=1, lease_seconds=LEASE)
        assert claim.attempts == 0

    async def test_the_backlog_is_what_is_not_done(self, docs: Catalog) -> None:
        await docs.submit("docs", [doc("a"), doc("b"), doc("c")])
        claims = await docs.claim("worker", limit=1, lease_seconds=LEASE)
        assert await docs.backlog() == 3
        await docs.commit([success(claim) for claim in claims])
        await docs.tombstone("docs", ["a"])
        assert await docs.backlog() == 3
        await work(docs)
        assert await docs.backlog() == 0

    async def test_many_at_once_neither_lose_nor_double_anything(self, docs: Catalog) -> None:
        batch = [doc(f"{number:02}") for number in range(20)]
        jobs = await asyncio.gather(*(docs.submit("docs", batch if turn % 2 else batch[::-1]) for turn in range(12)))
        assert sum(job.accepted - job.unchanged for job in jobs) == 20

        async def worker(name: str) -> list[str]:
            done: list[str] = []
            while claims := await docs.claim(name, limit=3, lease_seconds=LEASE):
                await docs.renew(name, claims, lease_seconds=LEASE)
                assert all(await docs.commit([success(claim) for claim in claims]))
                done.extend(ids(claims))
            return done

        shares = await asyncio.gather(*(worker(f"worker-{number}") for number in range(6)))
        assert sorted(name for share in shares for name in share) == [document.id for document in batch]
        first = [await docs.get_job(job.job_id) for job in jobs if not job.unchanged]
        assert [(job.status, job.indexed) for job in first] == [("done", 20)]

    async def test_nothing_to_do_is_no_error(self, docs: Catalog) -> None:
        assert list(await docs.claim("worker", limit=5, lease_seconds=LEASE)) == []
        assert list(await docs.commit([])) == []
        assert await docs.renew("worker", [], lease_seconds=LEASE) == 0
        assert await docs.release() == 0


class JobContract:
    """Jobs: their counters always add up."""

    async def test_an_unknown_job_is_not_found(self, docs: Catalog) -> None:
        with pytest.raises(JobNotFound, match="job_x"):
            await docs.get_job("job_x")

    async def test_a_job_goes_from_pending_to_done(self, docs: Catalog, clock: FakeClock) -> None:
        job_id = (await docs.submit("docs", [doc("a"), doc("b")])).job_id
        started = clock.now
        fresh = await docs.get_job(job_id)
        assert (fresh.status, fresh.total, fresh.pending, fresh.finished_at) == ("pending", 2, 2, None)
        assert (fresh.collection, fresh.created_at) == ("docs", started)
        clock.advance(1)
        (claim,) = await docs.claim("worker", limit=1, lease_seconds=LEASE)
        await docs.commit([success(claim, 3)])
        running = await docs.get_job(job_id)
        assert (running.status, running.pending, running.indexed, running.chunks_embedded) == ("running", 1, 1, 3)
        await work(docs)
        done = await docs.get_job(job_id)
        assert (done.status, done.pending, done.indexed, done.finished_at) == ("done", 0, 2, clock.now)

    async def test_a_job_of_unchanged_documents_is_done_at_once(self, docs: Catalog, clock: FakeClock) -> None:
        await docs.submit("docs", [doc("a")])
        await work(docs)
        job = await docs.get_job((await docs.submit("docs", [doc("a")])).job_id)
        assert (job.status, job.total, job.unchanged, job.finished_at) == ("done", 1, 1, clock.now)

    async def test_rejected_documents_are_no_part_of_the_job(self, docs: Catalog) -> None:
        job = await docs.get_job((await docs.submit("docs", [doc("a"), doc("a")])).job_id)
        assert (job.total, job.pending) == (1, 1)

    async def test_a_job_loses_documents_to_a_newer_one(self, docs: Catalog, clock: FakeClock) -> None:
        old = (await docs.submit("docs", [doc("a"), doc("b")])).job_id
        clock.advance(1)
        new = (await docs.submit("docs", [doc("a", "changed"), doc("b")])).job_id
        overtaken = await docs.get_job(old)
        assert (overtaken.status, overtaken.superseded, overtaken.pending) == ("running", 1, 1)
        await work(docs)
        overtaken, newer = await docs.get_job(old), await docs.get_job(new)
        assert (overtaken.status, overtaken.indexed, overtaken.superseded) == ("done", 1, 1)
        assert (newer.status, newer.indexed, newer.unchanged) == ("done", 1, 1)

    async def test_a_job_ends_when_its_last_document_is_overtaken(self, docs: Catalog, clock: FakeClock) -> None:
        old = (await docs.submit("docs", [doc("a")])).job_id
        clock.advance(1)
        await docs.submit("docs", [doc("a", "changed")])
        job = await docs.get_job(old)
        assert (job.status, job.finished_at) == ("done", clock.now)

    async def test_failures_are_named_by_document(self, docs: Catalog) -> None:
        job_id = (await docs.submit("docs", [doc("b"), doc("a"), doc("c")])).job_id
        claims = {claim.document.id: claim for claim in await docs.claim("worker", limit=3, lease_seconds=LEASE)}
        await docs.commit(
            [
                Outcome(claims["b"], embedded=1, error="bad b", error_code="invalid_document"),
                Outcome(claims["a"], error="bad a", error_code="upstream_rejected"),
                success(claims["c"]),
            ]
        )
        job = await docs.get_job(job_id)
        assert (job.status, job.failed, job.indexed, job.chunks_embedded) == ("done", 2, 1, 3)
        assert [(f.document_id, f.code, f.message) for f in job.failures] == [
            ("a", "upstream_rejected", "bad a"),
            ("b", "invalid_document", "bad b"),
        ]

    async def test_the_catalog_says_that_it_serves(self, docs: Catalog) -> None:
        await docs.check()


class CatalogContract(CollectionContract, SubmissionContract, DeletionContract, LedgerContract, JobContract):
    """The whole port."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    async def docs(self, catalog: Catalog) -> Catalog:
        """A catalog with the collection ``docs``."""
        await catalog.create_collection(make_collection())
        return catalog
