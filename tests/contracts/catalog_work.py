"""What every catalog does with work and with jobs."""

from __future__ import annotations

import asyncio

import pytest

from tests.contracts.catalog_data import LEASE, FakeClock, chunk_keys, doc, ids, make_collection, success, work
from winnow.core.errors import JobNotFound
from winnow.ports import Catalog, Outcome


class LedgerContract:
    """Work: claimed under a lease, fenced by tokens, served in order."""

    async def test_a_claim_carries_what_the_work_needs(self, docs: Catalog) -> None:
        document = doc("a", "text", title="T", metadata={"k": "v"}, version=2)
        await docs.documents.submit("docs", [document])
        (claim,) = await docs.queue.claim("worker", limit=10, lease_seconds=LEASE)
        assert (claim.collection, claim.kind, claim.document) == ("docs", "index", document)
        assert (claim.revision, claim.previous, claim.attempts) == (1, (), 0)

    async def test_a_new_revision_brings_the_chunks_of_the_indexed_one(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a")])
        (first,) = await work(docs)
        await docs.documents.submit("docs", [doc("a", "changed")])
        (second,) = await docs.queue.claim("worker", limit=10, lease_seconds=LEASE)
        assert second.revision == 2
        assert second.previous == chunk_keys(first)

    async def test_a_document_that_moved_brings_the_chunks_of_its_former_id(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("old", "a text of its own"), doc("else", "another text")])
        first, _ = sorted(await work(docs), key=lambda claim: claim.document.id != "old")
        await docs.documents.submit("docs", [doc("new", "a text of its own", url="/new"), doc("title", title="T")])
        await docs.documents.tombstone("docs", ["old"])
        claims = {each.document.id: each for each in await docs.queue.claim("w", limit=10, lease_seconds=LEASE)}
        assert claims["new"].previous == chunk_keys(first)
        assert claims["title"].previous == ()

    async def test_chunks_of_a_text_that_was_never_indexed_are_not_brought(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b")])
        claims = await docs.queue.claim("w", limit=10, lease_seconds=LEASE)
        assert [claim.previous for claim in claims] == [(), ()]

    async def test_a_failed_revision_leaves_the_indexed_chunks_known(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a")])
        (first,) = await work(docs)
        await docs.documents.submit("docs", [doc("a", "changed")])
        (second,) = await docs.queue.claim("worker", limit=10, lease_seconds=LEASE)
        await docs.queue.commit([Outcome(second, error="no")])
        await docs.documents.submit("docs", [doc("a", "changed")])
        (third,) = await docs.queue.claim("worker", limit=10, lease_seconds=LEASE)
        assert third.previous == chunk_keys(first)
        assert (await docs.documents.get("docs", "a")).chunks == 2

    async def test_leased_work_is_handed_to_nobody_else(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b"), doc("c")])
        one = await docs.queue.claim("one", limit=2, lease_seconds=LEASE)
        two = await docs.queue.claim("two", limit=2, lease_seconds=LEASE)
        assert (ids(one), ids(two)) == (["a", "b"], ["c"])
        assert list(await docs.queue.claim("three", limit=2, lease_seconds=LEASE)) == []

    async def test_work_comes_back_when_the_lease_runs_out(self, docs: Catalog, clock: FakeClock) -> None:
        await docs.documents.submit("docs", [doc("a")])
        (first,) = await docs.queue.claim("one", limit=1, lease_seconds=LEASE)
        clock.advance(LEASE - 1)
        assert list(await docs.queue.claim("two", limit=1, lease_seconds=LEASE)) == []
        clock.advance(1)
        (second,) = await docs.queue.claim("two", limit=1, lease_seconds=LEASE)
        assert second.token > first.token
        assert (second.revision, second.attempts) == (1, 1)
        assert list(await docs.queue.commit([success(first), success(second)])) == [False, True]

    async def test_work_that_no_worker_takes_is_told(self, docs: Catalog, clock: FakeClock) -> None:
        assert not await docs.queue.is_unattended(30)
        await docs.documents.submit("docs", [doc("a"), doc("b")])
        assert not await docs.queue.is_unattended(30)
        clock.advance(31)
        assert await docs.queue.is_unattended(30)
        await docs.queue.claim("one", limit=1, lease_seconds=LEASE)
        assert not await docs.queue.is_unattended(30), "a worker is at it"
        clock.advance(LEASE)
        assert await docs.queue.is_unattended(30), "the worker is gone"
        claims = await docs.queue.claim("two", limit=2, lease_seconds=LEASE)
        await docs.queue.commit([success(claim) for claim in claims])
        clock.advance(31)
        assert not await docs.queue.is_unattended(30), "nothing waits"

    async def test_a_late_commit_counts_if_nobody_took_over(self, docs: Catalog, clock: FakeClock) -> None:
        await docs.documents.submit("docs", [doc("a")])
        claims = await docs.queue.claim("one", limit=1, lease_seconds=LEASE)
        clock.advance(LEASE * 2)
        assert list(await docs.queue.commit([success(claim) for claim in claims])) == [True]

    async def test_a_commit_counts_once(self, docs: Catalog) -> None:
        job_id = (await docs.documents.submit("docs", [doc("a")])).job_id
        (claim,) = await docs.queue.claim("one", limit=1, lease_seconds=LEASE)
        retry = Outcome(claim, error="busy", retry_in=0)
        assert list(await docs.queue.commit([retry, retry])) == [True, False]
        assert list(await docs.queue.commit([success(claim)])) == [False]
        (claim,) = await docs.queue.claim("one", limit=1, lease_seconds=LEASE)
        assert list(await docs.queue.commit([success(claim)])) == [True]
        assert list(await docs.queue.commit([success(claim)])) == [False]
        assert (await docs.jobs.get(job_id)).indexed == 1

    async def test_a_changed_document_overtakes_a_running_worker(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b")])
        claims = await docs.queue.claim("one", limit=2, lease_seconds=LEASE)
        await docs.documents.submit("docs", [doc("a", "changed")])
        assert list(await docs.queue.commit([success(claim) for claim in claims])) == [False, True]
        (claim,) = await docs.queue.claim("two", limit=2, lease_seconds=LEASE)
        assert (claim.document, claim.revision, claim.attempts) == (doc("a", "changed"), 2, 0)

    async def test_a_renewed_lease_holds_longer(self, docs: Catalog, clock: FakeClock) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b")])
        claims = await docs.queue.claim("one", limit=2, lease_seconds=LEASE)
        clock.advance(LEASE - 1)
        assert await docs.queue.renew("one", claims, lease_seconds=LEASE) == 2
        clock.advance(LEASE - 1)
        assert list(await docs.queue.claim("two", limit=2, lease_seconds=LEASE)) == []
        assert await docs.queue.renew("two", claims, lease_seconds=LEASE) == 0
        clock.advance(1)
        assert await docs.queue.renew("one", claims, lease_seconds=LEASE) == 0
        assert ids(await docs.queue.claim("two", limit=2, lease_seconds=LEASE)) == ["a", "b"]

    async def test_what_is_done_is_not_renewed(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b")])
        claims = await docs.queue.claim("one", limit=2, lease_seconds=LEASE)
        await docs.queue.commit([success(claims[1])])
        assert await docs.queue.renew("one", claims, lease_seconds=LEASE) == 1

    @pytest.mark.parametrize("change", ["submit", "tombstone"])
    async def test_a_document_in_hand_is_handed_to_nobody_else_until_its_worker_lets_go(
        self, docs: Catalog, clock: FakeClock, change: str
    ) -> None:
        await docs.documents.submit("docs", [doc("a")])
        (claim,) = await docs.queue.claim("one", limit=1, lease_seconds=LEASE)
        await (
            docs.documents.submit("docs", [doc("a", "changed")])
            if change == "submit"
            else docs.documents.tombstone("docs", ["a"])
        )
        clock.advance(LEASE - 1)
        assert await docs.queue.renew("one", [claim], lease_seconds=LEASE) == 1
        clock.advance(LEASE - 1)
        assert list(await docs.queue.claim("two", limit=1, lease_seconds=LEASE)) == []
        assert list(await docs.queue.commit([success(claim)])) == [False]
        (next_claim,) = await docs.queue.claim("two", limit=1, lease_seconds=LEASE)
        assert (next_claim.kind, next_claim.revision) == ("index" if change == "submit" else "delete", 2)

    async def test_a_worker_that_lost_its_lease_does_not_take_it_from_the_next(
        self, docs: Catalog, clock: FakeClock
    ) -> None:
        await docs.documents.submit("docs", [doc("a")])
        (stalled,) = await docs.queue.claim("one", limit=1, lease_seconds=LEASE)
        clock.advance(LEASE)
        (claim,) = await docs.queue.claim("two", limit=1, lease_seconds=LEASE)
        await docs.documents.submit("docs", [doc("a", "changed")])
        assert list(await docs.queue.commit([success(stalled)])) == [False]
        assert list(await docs.queue.claim("three", limit=1, lease_seconds=LEASE)) == []
        assert list(await docs.queue.commit([success(claim)])) == [False]
        assert len(await docs.queue.claim("three", limit=1, lease_seconds=LEASE)) == 1

    async def test_released_work_is_due_at_once(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b"), doc("c")])
        await docs.queue.claim("one", limit=1, lease_seconds=LEASE)
        await docs.queue.claim("two", limit=1, lease_seconds=LEASE)
        assert await docs.queue.release("one") == 1
        assert await docs.queue.release("one") == 0
        assert ids(await docs.queue.claim("three", limit=9, lease_seconds=LEASE)) == ["a", "c"]
        assert await docs.queue.release() == 3
        assert len(await docs.queue.claim("four", limit=9, lease_seconds=LEASE)) == 3

    async def test_a_worker_that_was_told_to_stop_leaves_no_attempt_behind(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b")])
        for _ in range(3):
            assert len(await docs.queue.claim("one", limit=2, lease_seconds=LEASE)) == 2
            await docs.documents.submit("docs", [doc("b", "changed")])  # which begins at no attempt
            assert await docs.queue.release("one", tried=False) == 2
        claims = await docs.queue.claim("two", limit=2, lease_seconds=LEASE)
        assert [claim.attempts for claim in claims] == [0, 0]
        assert await docs.queue.release("two") == 2
        claims = await docs.queue.claim("three", limit=2, lease_seconds=LEASE)
        assert [claim.attempts for claim in claims] == [1, 1]

    async def test_the_highest_priority_is_served_first_then_the_oldest(self, docs: Catalog, clock: FakeClock) -> None:
        await docs.documents.submit("docs", [doc("old")])
        clock.advance(1)
        await docs.documents.submit("docs", [doc("newer")])
        clock.advance(1)
        await docs.documents.submit("docs", [doc("urgent")], priority=10)
        order = [ids(await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)) for _ in range(3)]
        assert order == [["urgent"], ["old"], ["newer"]]

    async def test_one_call_serves_one_collection_and_the_next_call_another(
        self, catalog: Catalog, clock: FakeClock
    ) -> None:
        for name in ("big", "small"):
            await catalog.collections.create(make_collection(name))
            await catalog.documents.submit(name, [doc(str(number)) for number in range(6 if name == "big" else 2)])
            clock.advance(1)
        served = []
        while claims := await catalog.queue.claim("worker", limit=2, lease_seconds=LEASE):
            (name,) = {claim.collection for claim in claims}
            served.append(name)
        assert served == ["big", "small", "big", "big"]

    async def test_priority_comes_before_fairness(self, catalog: Catalog) -> None:
        for name in ("one", "two"):
            await catalog.collections.create(make_collection(name))
        await catalog.documents.submit("one", [doc("a"), doc("b")], priority=10)
        await catalog.documents.submit("two", [doc("c")])
        order = [ids(await catalog.queue.claim("worker", limit=1, lease_seconds=LEASE)) for _ in range(3)]
        assert order == [["a"], ["b"], ["c"]]

    async def test_bulk_work_gets_its_share_while_urgent_work_never_ends(
        self, catalog: Catalog, clock: FakeClock
    ) -> None:
        for name in ("one", "two"):
            await catalog.collections.create(make_collection(name))
        await catalog.documents.submit("one", [doc(f"urgent-{number}") for number in range(40)], priority=10)
        await catalog.documents.submit("one", [doc(f"bulk-{number}") for number in range(40)])
        await catalog.documents.submit("two", [doc(f"idle-{number}") for number in range(40)], priority=-10)
        served = [ids(await catalog.queue.claim("worker", limit=1, lease_seconds=LEASE))[0] for _ in range(32)]
        share = {kind: sum(name.startswith(kind) for name in served) for kind in ("urgent", "bulk", "idle")}
        assert share == {"urgent": 24, "bulk": 6, "idle": 2}
        assert all(name.startswith("urgent") for name in served[:3])

    async def test_an_error_with_a_pause_is_tried_again_after_it(self, docs: Catalog, clock: FakeClock) -> None:
        job_id = (await docs.documents.submit("docs", [doc("a")])).job_id
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        assert list(await docs.queue.commit([Outcome(claim, error="busy", retry_in=5)])) == [True]
        assert (await docs.documents.get("docs", "a")).state == "pending"
        assert (await docs.jobs.get(job_id)).pending == 1
        clock.advance(4.9)
        assert list(await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)) == []
        clock.advance(0.1)
        (again,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        assert again.attempts == 1

    async def test_an_error_for_good_is_kept_with_the_document(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b")])
        one, two = await docs.queue.claim("worker", limit=2, lease_seconds=LEASE)
        await docs.queue.commit(
            [Outcome(one, error="broken \0 \ud800", error_code="invalid_document"), Outcome(two, error="?")]
        )
        stored = await docs.documents.get("docs", "a")
        assert (stored.state, stored.error, stored.error_code) == ("failed", "broken  \ufffd", "invalid_document")
        assert (await docs.documents.get("docs", "b")).error_code == "internal_error"
        assert await docs.queue.backlog() == 0

    async def test_waiting_for_others_is_no_attempt_but_known(self, docs: Catalog, clock: FakeClock) -> None:
        await docs.documents.submit("docs", [doc("a")])
        for tried in (False, True, True):
            clock.advance(1)
            (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
            assert (claim.attempts, claim.tried) == (0, tried)
            await docs.queue.commit([Outcome(claim, error="down", retry_in=0, waited=True)])

    async def test_success_forgets_attempts(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a")])
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        await docs.queue.commit([Outcome(claim, error="busy", retry_in=0)])
        await work(docs)
        await docs.documents.submit("docs", [doc("a", "changed")])
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        assert claim.attempts == 0

    async def test_the_backlog_is_what_is_not_done(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a"), doc("b"), doc("c")])
        claims = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        assert await docs.queue.backlog() == 3
        await docs.queue.commit([success(claim) for claim in claims])
        await docs.documents.tombstone("docs", ["a"])
        assert await docs.queue.backlog() == 3
        await work(docs)
        assert await docs.queue.backlog() == 0

    async def test_many_at_once_neither_lose_nor_double_anything(self, docs: Catalog) -> None:
        batch = [doc(f"{number:02}") for number in range(20)]
        jobs = await asyncio.gather(
            *(docs.documents.submit("docs", batch if turn % 2 else batch[::-1]) for turn in range(12))
        )
        assert all(job.accepted == 20 for job in jobs)

        async def worker(name: str) -> list[str]:
            done: list[str] = []
            while claims := await docs.queue.claim(name, limit=3, lease_seconds=LEASE):
                await docs.queue.renew(name, claims, lease_seconds=LEASE)
                assert all(await docs.queue.commit([success(claim) for claim in claims]))
                done.extend(ids(claims))
            return done

        shares = await asyncio.gather(*(worker(f"worker-{number}") for number in range(6)))
        assert sorted(name for share in shares for name in share) == [document.id for document in batch]
        ended = [await docs.jobs.get(job.job_id) for job in jobs]
        assert {job.status for job in ended} == {"done"}
        assert sorted((job.indexed, job.superseded) for job in ended) == [(0, 20)] * 11 + [(20, 0)]

    async def test_nothing_to_do_is_no_error(self, docs: Catalog) -> None:
        assert list(await docs.queue.claim("worker", limit=5, lease_seconds=LEASE)) == []
        assert list(await docs.queue.commit([])) == []
        assert await docs.queue.renew("worker", [], lease_seconds=LEASE) == 0
        assert await docs.queue.release() == 0


class JobContract:
    """Jobs: their counters always add up."""

    async def test_an_unknown_job_is_not_found(self, docs: Catalog) -> None:
        with pytest.raises(JobNotFound, match="job_x"):
            await docs.jobs.get("job_x")

    async def test_a_job_goes_from_pending_to_done(self, docs: Catalog, clock: FakeClock) -> None:
        job_id = (await docs.documents.submit("docs", [doc("a"), doc("b")])).job_id
        started = clock.now
        fresh = await docs.jobs.get(job_id)
        assert (fresh.status, fresh.total, fresh.pending, fresh.finished_at) == ("pending", 2, 2, None)
        assert (fresh.collection, fresh.created_at) == ("docs", started)
        clock.advance(1)
        (claim,) = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        await docs.queue.commit([success(claim, 3)])
        running = await docs.jobs.get(job_id)
        assert (running.status, running.pending, running.indexed, running.chunks_embedded) == ("running", 1, 1, 3)
        await work(docs)
        done = await docs.jobs.get(job_id)
        assert (done.status, done.pending, done.indexed, done.finished_at) == ("done", 0, 2, clock.now)

    async def test_a_job_of_unchanged_documents_is_done_at_once(self, docs: Catalog, clock: FakeClock) -> None:
        await docs.documents.submit("docs", [doc("a")])
        await work(docs)
        job = await docs.jobs.get((await docs.documents.submit("docs", [doc("a")])).job_id)
        assert (job.status, job.total, job.unchanged, job.finished_at) == ("done", 1, 1, clock.now)

    async def test_rejected_documents_are_no_part_of_the_job(self, docs: Catalog) -> None:
        job = await docs.jobs.get((await docs.documents.submit("docs", [doc("a"), doc("a")])).job_id)
        assert (job.total, job.pending) == (1, 1)

    async def test_a_job_loses_documents_to_a_newer_one(self, docs: Catalog, clock: FakeClock) -> None:
        old = (await docs.documents.submit("docs", [doc("a"), doc("b")])).job_id
        clock.advance(1)
        new = (await docs.documents.submit("docs", [doc("a", "changed"), doc("b")])).job_id
        overtaken = await docs.jobs.get(old)
        assert (overtaken.status, overtaken.superseded, overtaken.pending) == ("done", 2, 0)
        await work(docs)
        newer = await docs.jobs.get(new)
        assert (newer.status, newer.indexed, newer.unchanged) == ("done", 2, 0)

    async def test_a_document_that_waits_unchanged_is_indexed_once_for_both_jobs(self, docs: Catalog) -> None:
        await docs.documents.submit("docs", [doc("a")])
        claims = await docs.queue.claim("worker", limit=1, lease_seconds=LEASE)
        new = (await docs.documents.submit("docs", [doc("a")])).job_id
        assert await docs.queue.commit([success(claim, 2) for claim in claims]) == [True]
        job = await docs.jobs.get(new)
        assert (job.status, job.indexed, job.chunks_embedded) == ("done", 1, 2)

    async def test_a_job_ends_when_its_last_document_is_overtaken(self, docs: Catalog, clock: FakeClock) -> None:
        old = (await docs.documents.submit("docs", [doc("a")])).job_id
        clock.advance(1)
        await docs.documents.submit("docs", [doc("a", "changed")])
        job = await docs.jobs.get(old)
        assert (job.status, job.finished_at) == ("done", clock.now)

    async def test_failures_are_named_by_document(self, docs: Catalog) -> None:
        job_id = (await docs.documents.submit("docs", [doc("b"), doc("a"), doc("c")])).job_id
        claims = {claim.document.id: claim for claim in await docs.queue.claim("worker", limit=3, lease_seconds=LEASE)}
        await docs.queue.commit(
            [
                Outcome(claims["b"], embedded=1, error="bad b", error_code="invalid_document"),
                Outcome(claims["a"], error="bad a", error_code="upstream_rejected"),
                success(claims["c"]),
            ]
        )
        job = await docs.jobs.get(job_id)
        assert (job.status, job.failed, job.indexed, job.chunks_embedded) == ("done", 2, 1, 3)
        assert [(f.document_id, f.code, f.message) for f in job.failures] == [
            ("a", "upstream_rejected", "bad a"),
            ("b", "invalid_document", "bad b"),
        ]

    async def test_the_catalog_says_that_it_serves(self, docs: Catalog) -> None:
        await docs.check()
