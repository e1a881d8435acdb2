"""What every catalog does with lists of jobs, failures tried again, cancelled jobs, and what was deleted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.contracts.catalog_data import LEASE, FakeClock, chunk_keys, doc, ids, make_collection, success, work
from winnow.catalog.rules.entries import SETTLING
from winnow.core.errors import CollectionNotFound, Conflict, DocumentNotFound, JobNotFound
from winnow.ports import Catalog, Claim, Outcome, Removal


async def submit(catalog: Catalog, *names: str, text: str = "some text", priority: int = 0) -> str:
    return (await catalog.documents.submit("docs", [doc(name, text) for name in names], priority=priority)).job_id


async def claim_all(catalog: Catalog) -> dict[str, Claim]:
    claims = await catalog.queue.claim("worker", limit=100, lease_seconds=LEASE)
    return {claim.document.id: claim for claim in claims}


async def fail(catalog: Catalog) -> None:
    """Let everything fail that waits."""
    await catalog.queue.commit(
        [Outcome(claim, error="no", error_code="x") for claim in (await claim_all(catalog)).values()]
    )


class JobListContract:
    """Listing and forgetting jobs."""

    async def test_jobs_are_listed_newest_first_a_page_at_a_time(self, docs: Catalog) -> None:
        jobs = [await submit(docs, str(number)) for number in range(5)]
        newest = sorted(jobs, reverse=True)
        page = [job.id for job in await docs.jobs.list(limit=2)]
        assert page == newest[:2]
        assert [job.id for job in await docs.jobs.list(after=page[-1])] == newest[2:]

    async def test_a_list_is_of_one_collection_status_or_of_failures(self, docs: Catalog) -> None:
        await docs.collections.create(make_collection("other"))
        failed = await submit(docs, "a")
        await fail(docs)
        done = await submit(docs, "b")
        await work(docs)
        running = await submit(docs, "c", "d")
        await docs.queue.commit([success((await claim_all(docs))["c"])])
        waiting = (await docs.documents.submit("other", [doc("e")])).job_id

        async def listed(**filters: object) -> set[str]:
            return {job.id for job in await docs.jobs.list(**filters)}  # type: ignore[arg-type]

        assert await listed() == {failed, done, running, waiting}
        assert await listed(collection="docs") == {failed, done, running}
        assert await listed(status="pending") == {waiting}
        assert await listed(status="running") == {running}
        assert await listed(status="done") == {failed, done}
        assert await listed(failed=True) == {failed}
        with pytest.raises(CollectionNotFound):
            await docs.jobs.list(collection="none")

    async def test_jobs_of_a_collection_that_is_deleted_are_not_listed(self, docs: Catalog) -> None:
        await submit(docs, "a")
        await docs.collections.mark_deleting("docs")
        assert list(await docs.jobs.list()) == []

    async def test_jobs_are_forgotten_some_time_after_their_end(self, docs: Catalog, clock: FakeClock) -> None:
        old = [await submit(docs, name) for name in ("a", "b")]
        await fail(docs)
        clock.advance(60)
        recent = await submit(docs, "c")
        await work(docs)
        open_job = await submit(docs, "d")
        before = clock.now - timedelta(seconds=1)
        assert [await docs.jobs.prune(before=before, limit=1) for _ in range(3)] == [1, 1, 0]
        assert {job.id for job in await docs.jobs.list()} == {recent, open_job}
        for job_id in old:
            with pytest.raises(JobNotFound):
                await docs.jobs.get(job_id)
        assert (await docs.documents.get("docs", "a")).error == "no"


class RetryCancelContract:
    """Trying failures again, and cancelling."""

    async def test_failures_are_tried_again_with_a_new_job(self, docs: Catalog) -> None:
        first = await submit(docs, "a", "b", "c")
        claims = await claim_all(docs)
        await docs.queue.commit(
            [success(claims["a"]), Outcome(claims["b"], error="no"), Outcome(claims["c"], error="no")]
        )
        await submit(docs, "c", text="mended")  # it waits for another job now
        again = await docs.jobs.retry(first)
        assert (again.accepted, again.unchanged) == (1, 0)
        stored = await docs.documents.get("docs", "b")
        assert (stored.state, stored.error, stored.revision) == ("pending", None, 1)
        await work(docs)
        job = await docs.jobs.get(again.job_id)
        assert (job.status, job.total, job.indexed) == ("done", 1, 1)
        assert (await docs.jobs.get(first)).failed == 2  # what was, was

    async def test_nothing_to_try_again_makes_no_job(self, docs: Catalog) -> None:
        job_id = await submit(docs, "a")
        await work(docs)
        assert (await docs.jobs.retry(job_id)).job_id == ""
        assert len(await docs.jobs.list()) == 1
        with pytest.raises(JobNotFound):
            await docs.jobs.retry("job_x")

    async def test_what_failed_again_later_belongs_to_the_later_job(self, docs: Catalog) -> None:
        first = await submit(docs, "a")
        await fail(docs)
        second = await submit(docs, "a", text="changed")
        await fail(docs)
        assert (await docs.jobs.retry(first)).accepted == 0
        assert (await docs.jobs.retry(second)).accepted == 1

    async def test_a_deletion_that_failed_is_tried_again_as_one(self, docs: Catalog) -> None:
        await submit(docs, "a")
        await work(docs)
        deletion = (await docs.documents.tombstone("docs", ["a"])).job_id
        await fail(docs)
        assert (await docs.jobs.retry(deletion)).accepted == 1
        assert [claim.kind for claim in await work(docs)] == ["delete"]

    async def test_cancelled_documents_that_were_never_indexed_go(self, docs: Catalog) -> None:
        job_id = await submit(docs, "a", "b")
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        job = await docs.jobs.cancel(job_id)
        assert (job.status, job.cancelled, job.pending, job.superseded) == ("done", 2, 0, 0)
        assert job.finished_at is not None
        assert list(await docs.documents.list("docs")) == []
        assert list(await docs.queue.commit([success(claim)])) == [False]
        assert {(claim.kind, claim.document.id) for claim in await work(docs)} == {("delete", "a"), ("delete", "b")}
        with pytest.raises(DocumentNotFound):
            await docs.documents.get("docs", "a")

    async def test_cancelled_changes_leave_what_is_indexed(self, docs: Catalog) -> None:
        await submit(docs, "a")
        (indexed,) = await work(docs)
        job_id = await submit(docs, "a", text="changed")
        assert (await docs.jobs.cancel(job_id)).cancelled == 1
        stored = await docs.documents.get("docs", "a")
        assert (stored.state, stored.error_code, stored.chunks) == ("failed", "cancelled", 2)
        assert await work(docs) == []
        assert await docs.queue.backlog() == 0
        await submit(docs, "a", text="changed")  # asked for again, it is done
        (claim,) = await work(docs)
        assert (claim.revision, claim.previous) == (3, chunk_keys(indexed))

    async def test_a_change_that_a_worker_has_in_hand_is_finished(self, docs: Catalog) -> None:
        await submit(docs, "a", "b")
        await work(docs)
        job_id = await submit(docs, "a", "b", text="changed")
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        job = await docs.jobs.cancel(job_id)
        assert (job.status, job.cancelled, job.pending) == ("running", 1, 1)
        assert list(await docs.queue.commit([success(claim)])) == [True]
        assert (await docs.jobs.get(job_id)).indexed == 1

    async def test_what_a_newer_job_waits_for_is_not_cancelled(self, docs: Catalog) -> None:
        old = await submit(docs, "a")
        await submit(docs, "a", text="changed")
        assert (await docs.jobs.cancel(old)).cancelled == 0
        assert ids(await work(docs)) == ["a"]

    async def test_a_deletion_cannot_be_cancelled(self, docs: Catalog) -> None:
        await submit(docs, "a")
        await work(docs)
        deletion = await docs.documents.tombstone("docs", ["a"])
        with pytest.raises(Conflict, match="cannot be cancelled"):
            await docs.jobs.cancel(deletion.job_id)
        assert [claim.kind for claim in await work(docs)] == ["delete"]


class RemovalContract:
    """What is left of deleted documents: their revisions go on, and their points go once more."""

    async def test_a_document_that_comes_back_goes_on_counting(self, docs: Catalog) -> None:
        await submit(docs, "a")
        await work(docs)
        await docs.documents.tombstone("docs", ["a"])
        await work(docs)
        await submit(docs, "a")
        assert (await docs.documents.get("docs", "a")).revision == 3

    async def test_points_of_the_deleted_go_once_more_after_a_while(self, docs: Catalog, clock: FakeClock) -> None:
        await submit(docs, "a")
        await work(docs)
        await docs.documents.tombstone("docs", ["a"])
        await work(docs)
        assert list(await docs.queue.removals(limit=10)) == []
        clock.advance(SETTLING.total_seconds())
        due = await docs.queue.removals(limit=10)
        assert list(due) == [Removal("docs", "a", 2)]
        await docs.queue.forget_removals(due)
        assert list(await docs.queue.removals(limit=10)) == []
        await submit(docs, "a")
        assert (await docs.documents.get("docs", "a")).revision == 1

    async def test_a_second_deletion_is_not_forgotten_with_the_first(self, docs: Catalog, clock: FakeClock) -> None:
        for _ in range(2):
            await submit(docs, "a")
            await docs.documents.tombstone("docs", ["a"])
            await work(docs)
            due = [Removal("docs", "a", 2)]
        await docs.queue.forget_removals(due)
        clock.advance(SETTLING.total_seconds())
        assert list(await docs.queue.removals(limit=10)) == [Removal("docs", "a", 4)]

    async def test_claims_are_outdated_by_newer_revisions_only(self, docs: Catalog, clock: FakeClock) -> None:
        await submit(docs, "same", "changed", "deleted", "gone")
        stalled = await claim_all(docs)
        clock.advance(LEASE)
        await submit(docs, "changed", text="other")
        await docs.documents.tombstone("docs", ["gone"])
        await work(docs)
        await docs.documents.tombstone("docs", ["deleted"])
        outdated = await docs.queue.outdated(list(stalled.values()))
        assert set(ids(outdated)) == {"changed", "deleted", "gone"}
