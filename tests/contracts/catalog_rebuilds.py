"""What every catalog does when an index is lost: record it, queue every document again, and know when all are there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contracts.catalog_data import LEASE, doc, ids, success, work
from winnow.core.errors import CollectionNotFound, Conflict
from winnow.core.rebuild import RebuildProgress
from winnow.ports import Catalog, Outcome


async def queue_all(catalog: Catalog, *, limit: int = 2) -> None:
    while await catalog.rebuilds.queue("docs", limit=limit):
        pass


class RebuildContract:
    """Whatever the state of a document, it is written to the new index, and once."""

    async def test_every_document_is_queued_again_in_one_job(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc(each) for each in "abcde"])
        await work(docs)
        begun = await docs.rebuilds.begin("docs", 1)
        assert begun.rebuild is not None
        assert begun.is_filling(1)
        assert not begun.is_filling(2)
        assert await docs.rebuilds.progress("docs") == RebuildProgress(0, 5)
        assert await docs.rebuilds.queue("docs", limit=2) == 2
        assert await docs.rebuilds.progress("docs") == RebuildProgress(0, 5)
        assert not await docs.rebuilds.end("docs")
        await queue_all(docs)
        assert (await docs.documents.counts("docs")).pending == 5
        claims = await work(docs)
        assert sorted(ids(claims)) == list("abcde")
        assert {claim.revision for claim in claims} == {2}
        job = await docs.jobs.get(begun.rebuild.job_id)
        assert (job.total, job.indexed, job.status, job.finished_at is not None) == (5, 5, "done", True)
        assert await docs.rebuilds.end("docs")
        assert (await docs.collections.get("docs")).rebuild is None
        assert await docs.rebuilds.progress("docs") is None

    async def test_beginning_twice_is_beginning_once_and_the_place_is_kept(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc(each) for each in "abc"])
        await work(docs)
        first = await docs.rebuilds.begin("docs", 1)
        await docs.rebuilds.queue("docs", limit=2)
        again = await docs.rebuilds.begin("docs", 1)
        assert again.rebuild == replace(first.rebuild, queued_to="b")  # type: ignore[type-var]
        assert sorted(ids(await work(docs))) == ["a", "b"]
        assert not await docs.rebuilds.end("docs")
        await queue_all(docs)
        assert ids(await work(docs)) == ["c"]
        assert await docs.rebuilds.end("docs")

    async def test_lost_once_more_everything_is_queued_from_the_start(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc(each) for each in "abc"])
        await work(docs)
        await docs.rebuilds.begin("docs", 1)
        await queue_all(docs)
        await work(docs)
        restarted = await docs.rebuilds.restart("docs")
        assert restarted.rebuild is not None
        assert restarted.rebuild.queued_to == ""
        await queue_all(docs)
        assert sorted(ids(await work(docs))) == ["a", "b", "c"]
        assert (await docs.jobs.get(restarted.rebuild.job_id)).total == 6
        assert await docs.rebuilds.end("docs")

    async def test_an_index_that_does_not_serve_is_not_recorded(self, docs: Catalog) -> None:
        assert (await docs.rebuilds.begin("docs", 2)).rebuild is None
        with pytest.raises(CollectionNotFound):
            await docs.rebuilds.begin("nope", 1)

    async def test_what_a_worker_has_written_to_the_lost_index_is_refused_and_written_again(
        self, docs: Catalog
    ) -> None:
        await docs.documents.submit("docs", [doc("a")])
        await work(docs)
        job = (await docs.documents.submit("docs", [doc("a", "changed")])).job_id
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        await docs.rebuilds.begin("docs", 1)
        await queue_all(docs)
        assert list(await docs.queue.commit([success(claim)])) == [False]
        (again,) = await work(docs)
        assert (again.document.text, again.revision) == ("changed", 3)
        assert (await docs.jobs.get(job)).indexed == 1
        assert await docs.rebuilds.end("docs")

    async def test_documents_that_wait_already_stay_in_their_job(self, docs: Catalog) -> None:
        job = (await docs.documents.submit("docs", [doc("new")])).job_id
        begun = await docs.rebuilds.begin("docs", 1)
        await queue_all(docs)
        assert begun.rebuild is not None
        assert (await docs.jobs.get(begun.rebuild.job_id)).total == 0
        assert await docs.rebuilds.end("docs")
        assert (await docs.jobs.get(job)).pending == 1

    async def test_failures_are_tried_again_if_an_older_revision_was_found_and_deletions_stay(
        self, docs: Catalog
    ) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("gone")])
        await work(docs)
        await docs.documents.submit("docs", [doc("a", "bad"), doc("never")])
        for claim in await docs.queue.claim("worker", limit=5, lease_seconds=LEASE):
            await docs.queue.commit([Outcome(claim, error="no", error_code="invalid_document")])
        await docs.documents.tombstone("docs", ["gone"])
        await docs.rebuilds.begin("docs", 1)
        await queue_all(docs)
        assert sorted((claim.document.id, claim.kind) for claim in await work(docs)) == [
            ("a", "index"),
            ("gone", "delete"),
        ]
        assert (await docs.documents.get("docs", "never")).state == "failed"

    async def test_the_job_of_a_rebuild_cannot_be_cancelled(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a")])
        await work(docs)
        begun = await docs.rebuilds.begin("docs", 1)
        await queue_all(docs)
        assert begun.rebuild is not None
        with pytest.raises(Conflict, match="lost"):
            await docs.jobs.cancel(begun.rebuild.job_id)
        assert ids(await work(docs)) == ["a"]

    async def test_the_second_index_is_filled_again_without_a_new_revision(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b")])
        await work(docs)
        collection = await docs.collections.get("docs")
        await docs.collections.begin_reembed("docs", replace(collection.serving.identity, model="other"))
        await docs.queue.enqueue_reembed("docs")
        first, second = await docs.queue.claim("worker", limit=2, lease_seconds=LEASE)
        assert list(await docs.queue.commit([replace(success(first), built=2)])) == [True]
        await docs.rebuilds.queue_second("docs")
        assert list(await docs.queue.commit([replace(success(second), built=2)])) == [False]  # it wrote to the lost one
        progress = await docs.audit.reembed_progress("docs")
        assert (progress.documents, progress.done, progress.lacking) == (2, 0, 2)
        await docs.queue.enqueue_reembed("docs")
        again = await docs.queue.claim("worker", limit=5, lease_seconds=LEASE)
        assert sorted((claim.document.id, claim.kind, claim.revision) for claim in again) == [
            ("a", "reembed", 1),
            ("b", "reembed", 1),
        ]
