"""What every catalog does with documents that come in and go."""

from __future__ import annotations

import pytest

from tests.contracts.catalog_data import LEASE, FakeClock, doc, ids, success, work
from winnow.core.access import access_values
from winnow.core.acl import Acl
from winnow.core.errors import DocumentNotFound
from winnow.core.marks import DocumentWarning, Mark
from winnow.core.tenancy import qualify_id, split_id
from winnow.core.types import Counts
from winnow.ports import Catalog, Outcome, TextSpan


class SubmissionContract:
    """Documents: accepted, found unchanged, rejected, read back."""

    async def test_a_document_comes_back_as_it_was_handed_in(self, docs: Catalog, clock: FakeClock) -> None:
        document = doc(
            "päth/1",
            "line one\nline two 🎉",
            source_format="pdf",
            title="Title",
            url="https://example.org/ä",
            metadata={"z": 1, "a": {"deep": [True, None, 1.5, "\0"]}},
            version=7,
            marks=(Mark(0, "page", 1), Mark(9, "anchor", "ä")),
            warnings=(DocumentWarning("pages_without_text", "1 page", pages=(2,), count=1),),
        )
        await docs.documents.submit("docs", [document], source="files")
        stored = await docs.documents.get("docs", "päth/1")
        assert stored.document == document
        assert (stored.revision, stored.state, stored.source) == (1, "pending", "files")
        assert (stored.chunks, stored.error, stored.updated_at) == (0, None, clock.now)
        assert len(stored.content_hash) == 64

    async def test_spans_of_texts_are_read_of_the_revision_that_is_asked_for(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a", text="zero 🎉 one\ntwo"), doc("b", text="other")])
        spans = [TextSpan("a", 1, 5, 10), TextSpan("b", 1, 0, 99), TextSpan("a", 1, 0, 4), TextSpan("gone", 1, 0, 4)]
        assert await docs.documents.texts_between("docs", spans) == ["🎉 one", "other", "zero", None]
        await docs.documents.submit("docs", [doc("a", text="a newer text")])
        await docs.documents.tombstone("docs", ["b"])
        assert await docs.documents.texts_between("docs", spans) == [None] * 4
        assert list(await docs.documents.texts_between("docs", [TextSpan("a", 2, 2, 7)])) == ["newer"]
        many = [TextSpan("a", 2, start, start + 1) for start in range(120)]
        assert "".join(text or "" for text in await docs.documents.texts_between("docs", many)) == "a newer text"
        assert not await docs.documents.texts_between("docs", [])

    async def test_an_unknown_document_is_not_found(self, docs: Catalog) -> None:
        with pytest.raises(DocumentNotFound, match="nothing"):
            await docs.documents.get("docs", "nothing")

    async def test_the_same_content_again_is_unchanged(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a")])
        while_pending = await docs.documents.submit("docs", [doc("a")])
        await work(docs)
        once_indexed = await docs.documents.submit("docs", [doc("a"), doc("b")])
        assert (while_pending.accepted, while_pending.unchanged) == (1, 0), "the newer job waits for it as well"
        assert (once_indexed.accepted, once_indexed.unchanged) == (2, 1)
        stored = await docs.documents.get("docs", "a")
        assert (stored.revision, stored.state) == (1, "indexed")

    @pytest.mark.parametrize(
        "change",
        [
            {"text": "other"},
            {"title": "t"},
            {"url": "u"},
            {"source_format": "html"},
            {"marks": (Mark(0, "page", 1),)},
            {"metadata": {"k": 1}},
        ],
        ids=lambda change: next(iter(change)),
    )
    async def test_any_change_of_content_makes_a_new_revision(self, docs: Catalog, change: dict[str, object]) -> None:
        await docs.documents.submit("docs", [doc("a")])
        await work(docs)
        submission = await docs.documents.submit("docs", [doc("a", **change)])
        stored = await docs.documents.get("docs", "a")
        assert submission.unchanged == 0
        assert (stored.revision, stored.state) == (2, "pending")
        assert stored.document == doc("a", **change)
        assert stored.chunks == 2, "the old revision stays searchable until the new one is"

    async def test_the_order_of_metadata_keys_is_no_change(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a", metadata={"x": 1, "y": {"p": 1, "q": 2}})])
        await work(docs)
        again = await docs.documents.submit("docs", [doc("a", metadata={"y": {"q": 2, "p": 1}, "x": 1})])
        assert again.unchanged == 1

    async def test_a_version_must_not_go_backwards(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a", version=7)])
        refused = await docs.documents.submit("docs", [doc("b"), doc("a", "older", version=6), doc("c")])
        assert refused.accepted == 2
        (rejection,) = refused.rejected
        assert (rejection.index, rejection.id, rejection.code) == (1, "a", "version_conflict")
        assert "6" in rejection.message
        assert "7" in rejection.message
        accepted = await docs.documents.submit("docs", [doc("a", "same version", version=7)])
        assert (accepted.accepted, accepted.unchanged) == (1, 0)

    async def test_a_higher_version_of_the_same_content_is_remembered(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a", version=7)])
        await work(docs)
        assert (await docs.documents.submit("docs", [doc("a", version=9)])).unchanged == 1
        assert (await docs.documents.get("docs", "a")).document.version == 9
        assert (await docs.documents.submit("docs", [doc("a", version=8)])).rejected[0].code == "version_conflict"

    async def test_a_document_without_a_version_keeps_the_stored_one(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a", version=7)])
        await docs.documents.submit("docs", [doc("a", "changed")])
        assert (await docs.documents.get("docs", "a")).document.version == 7

    async def test_an_id_that_stands_twice_is_rejected_the_second_time(self, docs: Catalog) -> None:
        submission = await docs.documents.submit(
            "docs", [doc("a", "first"), doc("a", "second"), doc("b"), doc("a", "third")]
        )
        assert submission.accepted == 2
        assert [(r.index, r.id, r.code) for r in submission.rejected] == [
            (1, "a", "duplicate_id"),
            (3, "a", "duplicate_id"),
        ]
        assert (await docs.documents.get("docs", "a")).document.text == "first"

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
        submission = await docs.documents.submit("docs", [doc("good"), doc("bad", **bad), doc("fine")])
        assert submission.accepted == 2
        assert [(r.index, r.code) for r in submission.rejected] == [(1, "invalid_document")]
        assert [key.id for key in await docs.documents.list("docs")] == ["fine", "good"]

    async def test_a_failed_document_is_tried_again_when_it_is_sent_again(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a")])
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        await docs.queue.commit([Outcome(claim, error="it broke", error_code="upstream_rejected")])
        again = await docs.documents.submit("docs", [doc("a")])
        stored = await docs.documents.get("docs", "a")
        assert again.unchanged == 0
        assert (stored.state, stored.error, stored.error_code) == ("pending", None, None)

    async def test_who_hands_a_document_in_last_is_its_source(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a")], source="one")
        await docs.documents.submit("docs", [doc("a")], source="two")
        assert (await docs.documents.get("docs", "a")).source == "two"
        assert [s.document.id async for s in docs.documents.scan("docs", source="two")] == ["a"]
        assert [s.document.id async for s in docs.documents.scan("docs", source="one")] == []

    async def test_a_large_batch_and_an_empty_one_are_accepted(self, docs: Catalog) -> None:
        many = [doc(f"{number:05}") for number in range(2500)]
        assert (await docs.documents.submit("docs", many)).accepted == 2500
        await work(docs)
        assert (await docs.documents.submit("docs", many)).unchanged == 2500
        assert (await docs.documents.submit("docs", [])).accepted == 0
        assert (await docs.documents.counts("docs")).indexed == 2500

    async def test_a_listing_pages_by_the_bytes_of_the_id(self, docs: Catalog) -> None:
        names = ["a", "B", "ä", "a/b", "Z", "~", "🎉", "0", "é", "e"]
        await docs.documents.submit("docs", [doc(name) for name in names])
        found: list[str] = []
        while page := await docs.documents.list("docs", after=found[-1] if found else "", limit=3):
            found.extend(key.id for key in page)
        assert found == sorted(names)

    async def test_a_scan_passes_every_document_once_in_order(self, docs: Catalog) -> None:
        names = [f"{number:03}" for number in range(150)]
        await docs.documents.submit("docs", [doc(name, name) for name in reversed(names)])
        await docs.documents.tombstone("docs", ["077"])
        found = [stored.document async for stored in docs.documents.scan("docs")]
        assert [document.id for document in found] == [name for name in names if name != "077"]
        assert all(document.id == document.text for document in found)

    async def test_a_listing_filters_by_source_and_state(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b")], source="one")
        await work(docs)
        await docs.documents.submit("docs", [doc("c")], source="two")
        await docs.documents.tombstone("docs", ["b"])

        async def listed(**filters: str) -> list[str]:
            return [key.id for key in await docs.documents.list("docs", **filters)]  # type: ignore[arg-type]

        assert await listed() == ["a", "c"]
        assert await listed(source="one") == ["a"]
        assert await listed(state="pending") == ["c"]
        assert await listed(state="deleting") == ["b"]

    async def test_two_tenants_have_a_document_of_one_id_each(self, docs: Catalog) -> None:
        acme, globex = (qualify_id(tenant, "1") for tenant in ("acme", "globex"))
        await docs.documents.submit("docs", [doc("1", "ours"), doc(acme, "theirs"), doc(globex, "another's")])
        await work(docs)
        await docs.documents.tombstone("docs", [globex])
        assert (await docs.documents.get("docs", "1")).document.text == "ours"
        assert (await docs.documents.get("docs", acme)).document.text == "theirs"
        with pytest.raises(DocumentNotFound, match=r"no document '1'$"):
            await docs.documents.get("docs", globex)

    async def test_a_listing_of_one_tenant_is_a_part_of_the_whole_in_the_order_of_ids(self, docs: Catalog) -> None:
        tenants, names = ["", "a", "a b", "A", "é", "🎉", "ab"], ["0", "~", "ä", "🎉", "a/b", " "]
        every = [(tenant, name) for tenant in tenants for name in names]
        await docs.documents.submit("docs", [doc(qualify_id(*each)) for each in every])
        await docs.documents.submit("docs", [doc(qualify_id("a", "more"))], source="two")
        for tenant in tenants:
            wanted = [*names, "more"] if tenant == "a" else names
            found: list[str] = []
            while page := await docs.documents.list("docs", after=found[-1] if found else "", limit=4, tenant=tenant):
                found.extend(key.id for key in page)
            assert [split_id(each) for each in found] == [(tenant, name) for name in sorted(wanted)]
            scanned = [row.key.id async for row in docs.documents.scan_keys("docs", tenant=tenant)]
            assert scanned == found
            assert (await docs.documents.counts("docs", tenant=tenant)).pending == len(wanted)
        assert len(await docs.documents.list("docs")) == len(every) + 1
        assert [key.id for key in await docs.documents.list("docs", tenant="missing")] == []
        only = [row.key.id async for row in docs.documents.scan_keys("docs", tenant="a", source="two")]
        assert only == [qualify_id("a", "more")]

    async def test_access_lists_are_kept_and_come_with_the_rows_of_a_scan(self, docs: Catalog) -> None:
        lists = {"listed": Acl(("alice",), ("staff",)), "shut": Acl(), "open": None}
        await docs.documents.submit("docs", [doc(name, acl=acl, metadata={"n": 1}) for name, acl in lists.items()])
        await work(docs)
        for name, acl in lists.items():
            assert (await docs.documents.get("docs", name)).document.acl == acl
        rows = {row.key.id: row async for row in docs.documents.scan_keys("docs")}
        assert {name: row.metadata for name, row in rows.items()} == {
            name: {"n": 1, **access_values(name, acl)} for name, acl in lists.items()
        }
        assert {row.chunks for row in rows.values()} == {2}

    async def test_a_changed_access_list_is_a_change_of_the_document(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a", acl=Acl(("alice",)))])
        await work(docs)
        same = await docs.documents.submit("docs", [doc("a", acl=Acl(("alice",)))])
        other = await docs.documents.submit("docs", [doc("a", acl=Acl(("bob",)))])
        assert (same.unchanged, other.unchanged) == (1, 0)

    async def test_counts_tell_the_states(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b"), doc("c"), doc("d")])
        await work(docs)
        await docs.documents.submit("docs", [doc("b", "changed"), doc("e")])
        await docs.documents.tombstone("docs", ["c"])
        for claim in await docs.queue.claim("worker", limit=10, lease_seconds=LEASE):
            if claim.document.id == "e":
                await docs.queue.commit([Outcome(claim, error="no")])
        assert await docs.documents.counts("docs") == Counts(
            documents=4, chunks=6, pending=1, indexed=2, failed=1, deleting=1
        )


class DeletionContract:
    """Tombstones: hidden at once, gone once a worker has removed the points."""

    async def test_a_tombstone_hides_the_document_until_its_row_goes(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b")])
        await work(docs)
        submission = await docs.documents.tombstone("docs", ["a"])
        with pytest.raises(DocumentNotFound):
            await docs.documents.get("docs", "a")
        assert [key.id for key in await docs.documents.list("docs")] == ["b"]
        (claim,) = await docs.queue.claim("worker", limit=10, lease_seconds=LEASE)
        assert (claim.kind, claim.document.id) == ("delete", "a")
        assert list(await docs.queue.commit([Outcome(claim)])) == [True]
        assert [key.id for key in await docs.documents.list("docs", state="deleting")] == []
        job = await docs.jobs.get(submission.job_id)
        assert (job.status, job.total, job.deleted) == ("done", 1, 1)

    async def test_unknown_ids_and_repeated_ones_count_as_unchanged(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a")])
        submission = await docs.documents.tombstone("docs", ["a", "nothing", "a"])
        assert (submission.accepted, submission.unchanged, submission.rejected) == (2, 1, ())
        again = await docs.documents.tombstone("docs", ["a"])
        assert (again.accepted, again.unchanged) == (1, 1)

    async def test_a_document_sent_again_while_it_is_deleted_lives(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a", version=5)])
        await work(docs)
        deletion = await docs.documents.tombstone("docs", ["a"])
        (stale,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        submission = await docs.documents.submit("docs", [doc("a", version=3)])
        assert (submission.accepted, submission.unchanged) == (1, 0)
        stored = await docs.documents.get("docs", "a")
        assert (stored.state, stored.revision, stored.document.version) == ("pending", 3, 3)
        assert list(await docs.queue.commit([Outcome(stale)])) == [False]
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        assert (claim.kind, claim.previous) == ("index", ())
        job = await docs.jobs.get(deletion.job_id)
        assert (job.status, job.superseded) == ("done", 1)

    async def test_a_tombstone_overtakes_a_running_worker(self, docs: Catalog) -> None:
        first = await docs.documents.submit("docs", [doc("a")])
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        await docs.documents.tombstone("docs", ["a"])
        assert list(await docs.queue.commit([success(claim)])) == [False]
        job = await docs.jobs.get(first.job_id)
        assert (job.status, job.superseded, job.chunks_embedded) == ("done", 1, 0)
        assert [claim.kind for claim in await work(docs)] == ["delete"]

    async def test_a_deletion_that_fails_stays_hidden_until_it_is_asked_for_again(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a")])
        await work(docs)
        first = await docs.documents.tombstone("docs", ["a"])
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        await docs.queue.commit([Outcome(claim, error="disk", error_code="storage_failure")])
        assert (await docs.jobs.get(first.job_id)).failed == 1
        with pytest.raises(DocumentNotFound):
            await docs.documents.get("docs", "a")
        assert await work(docs) == []
        assert (await docs.documents.tombstone("docs", ["a"])).unchanged == 0
        assert ids(await work(docs)) == ["a"]

    async def test_a_document_that_comes_back_is_safe_from_workers_of_its_former_life(
        self, docs: Catalog, clock: FakeClock
    ) -> None:
        await docs.documents.submit("docs", [doc("a")])
        (stale,) = await docs.queue.claim("slow", limit=1, lease_seconds=LEASE)
        clock.advance(LEASE + 1)
        await docs.documents.tombstone("docs", ["a"])
        await work(docs)
        await docs.documents.submit("docs", [doc("a", "born again")])
        await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        assert list(await docs.queue.commit([success(stale)])) == [False]
        assert (await docs.documents.get("docs", "a")).state == "pending"

    async def test_a_scan_of_keys_passes_over_what_is_being_deleted(self, docs: Catalog) -> None:
        many = [doc(f"{number:04}", metadata={"number": number}) for number in range(1001)]
        await docs.documents.submit("docs", many)
        await docs.documents.tombstone("docs", ["0001"])
        found = [(each.key.id, each.metadata) async for each in docs.documents.scan_keys("docs")]
        assert found == [(each.id, each.metadata) for each in many if each.id != "0001"]
