"""What every catalog does for integrity checks: tell what it expects, and queue what is damaged."""

from __future__ import annotations

from dataclasses import replace

from tests.contracts.catalog_data import LEASE, FakeClock, chunk_keys, doc, success, work
from winnow.core.types import Document
from winnow.ports import Catalog, Changes, Outcome


class IntegrityContract:
    """Audits see the ledger as it is; mending goes the way of all work."""

    async def test_an_audit_names_the_points_of_the_indexed_revision(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b")])
        first, _ = await work(docs)
        await docs.documents.submit("docs", [doc("b", "changed")])
        a, b = await docs.audit.entries("docs")
        assert (a.id, a.state, a.revision, a.indexed_revision, a.waits) == ("a", "indexed", 1, 1, False)
        assert a.points == tuple(key.point_id for key in chunk_keys(first))
        assert a.n_chunks == len(a.points)
        assert (b.state, b.revision, b.indexed_revision, b.waits) == ("pending", 2, 1, True)

    async def test_an_audit_pages_by_id_and_can_be_asked_for_some(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc(each) for each in "abcd"])
        await docs.documents.tombstone("docs", ["c"])
        assert [entry.id for entry in await docs.audit.entries("docs", limit=2)] == ["a", "b"]
        assert [(entry.id, entry.state) for entry in await docs.audit.entries("docs", after="b")] == [
            ("c", "deleting"),
            ("d", "pending"),
        ]
        assert [entry.id for entry in await docs.audit.entries("docs", among=["d", "a", "x"])] == ["a", "d"]

    async def test_changes_are_told_by_their_moment_and_deletions_with_them(
        self, docs: Catalog, clock: FakeClock
    ) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b")])
        claims = await work(docs)
        first = await docs.audit.changes("docs", clock.now)
        keys = {each.document.id: tuple(key.point_id for key in chunk_keys(each)) for each in claims}
        assert {(each.id, each.revision, each.points) for each in first.changed} == {
            ("a", 1, keys["a"]),
            ("b", 1, keys["b"]),
        }
        assert (first.removed, first.until) == ((), clock.now)
        clock.advance(60)
        later, writes = clock.now, docs.writes()
        await docs.documents.submit("docs", [doc("b", "changed")])
        await docs.documents.tombstone("docs", ["a"])
        assert docs.writes() > writes
        await work(docs)
        second = await docs.audit.changes("docs", later)
        assert [(each.id, each.revision) for each in second.changed] == [("b", 2)]
        assert second.removed == ("a",)
        clock.advance(60)
        assert await docs.audit.changes("docs", clock.now) == Changes((), (), None)

    async def test_every_claim_and_every_commit_moves_the_token(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a")])
        (submitted,) = await docs.audit.entries("docs")
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        (claimed,) = await docs.audit.entries("docs")
        await docs.queue.commit([success(claim)])
        (committed,) = await docs.audit.entries("docs")
        assert submitted.token < claimed.token < committed.token

    async def test_mending_queues_a_document_at_rest_as_a_revision_beyond_all_its_points(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a", "text")])
        (first,) = await work(docs)
        submission = await docs.audit.repair("docs", {"a": 7})
        assert (submission.accepted, submission.unchanged) == (1, 0)
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        assert (claim.kind, claim.document, claim.revision) == ("index", doc("a", "text"), 8)
        assert claim.previous == chunk_keys(first)
        assert list(await docs.queue.commit([success(claim)])) == [True]
        assert (await docs.jobs.get(submission.job_id)).indexed == 1

    async def test_documents_stored_as_submitted_are_counted_until_they_are_converted(self, docs: Catalog) -> None:
        page = Document("page", "# Amber\n\nA resin.", "markdown", canonical=False)
        plain = Document("plain", "a resin", "text", canonical=False)
        await docs.documents.submit("docs", [page, plain, doc("new")])
        assert await docs.audit.unconverted("docs") == 1
        await work(docs)
        again = await docs.documents.submit("docs", [replace(page, canonical=True), replace(plain, canonical=True)])
        assert (again.accepted, again.unchanged) == (2, 1)
        assert await docs.audit.unconverted("docs") == 0

    async def test_mending_removes_the_points_of_a_document_that_there_is_not(self, docs: Catalog) -> None:
        submission = await docs.audit.repair("docs", {"ghost": 3})
        assert list(await docs.documents.list("docs")) == []
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        assert (claim.kind, claim.document.id) == ("delete", "ghost")
        await docs.queue.commit([Outcome(claim)])
        assert (await docs.jobs.get(submission.job_id)).deleted == 1
        assert list(await docs.audit.entries("docs")) == []

    async def test_a_document_that_comes_while_its_ghost_is_removed_gets_point_ids_of_its_own(
        self, docs: Catalog
    ) -> None:
        await docs.audit.repair("docs", {"ghost": 3})
        (removal,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        await docs.documents.submit("docs", [doc("ghost")])
        assert list(await docs.queue.commit([Outcome(removal)])) == [False]
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        assert (claim.kind, claim.revision, claim.previous) == ("index", 4, ())

    async def test_mending_leaves_alone_what_has_work_before_it(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a")])
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        submission = await docs.audit.repair("docs", {"a": 9})
        assert (submission.accepted, submission.unchanged) == (1, 1)
        assert list(await docs.queue.commit([success(claim)])) == [True]

    async def test_mending_tries_failed_documents_and_failed_deletions_again(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b")])
        await work(docs)
        await docs.documents.tombstone("docs", ["b"])
        (removal,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        await docs.documents.submit("docs", [doc("a", "changed")])
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        await docs.queue.commit([Outcome(claim, error="no"), Outcome(removal, error="no")])
        await docs.audit.repair("docs", {"a": 2, "b": 1})
        again = await docs.queue.claim("worker", limit=2, lease_seconds=LEASE)
        assert {(each.document.id, each.kind) for each in again} == {("a", "index"), ("b", "delete")}
