"""The worker when things go wrong around it: it stalls, storage goes away, a document kills it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from indexer.worker import loop
from indexer.worker.claims import FATAL, WORKER_LOST, isolate
from indexer.worker.lease import Lease, LeaseLost
from indexer.worker.loop import Worker
from indexer.worker.maintenance import Maintenance
from tests.contracts.catalog_data import LEASE, FakeClock
from tests.support.house import House
from winnow.catalog.rules.entries import SETTLING
from winnow.core.errors import InvalidDocument, JobNotFound, StorageFailure, UpstreamUnavailable
from winnow.core.settings import IndexingSettings
from winnow.core.types import Document
from winnow.ports import Claim, IndexRef, Outcome, Point, WorkQueue
from winnow.testing.vectors import FakeVectorStore

Happening = Callable[[], Awaitable[None]]


class Store(FakeVectorStore):
    """A store on whose writes something may happen, once each: before points are written, or instead."""

    def __init__(self) -> None:
        super().__init__()
        self.before_upsert: list[Happening] = []
        self.upserts = 0

    async def upsert(self, index: IndexRef, points: Sequence[Point]) -> None:
        self.upserts += 1
        if self.before_upsert:
            await self.before_upsert.pop()()
        await super().upsert(index, points)


@dataclass
class Commits:
    """Commits of a queue, which fail as often as they are told to; with ``after`` they count all the same."""

    queue: WorkQueue
    failing: list[Exception] = field(default_factory=list)
    after: bool = False

    def __post_init__(self) -> None:
        self._commit = self.queue.commit
        self.queue.commit = self.commit  # type: ignore[method-assign]

    async def commit(self, outcomes: Sequence[Outcome]) -> Sequence[bool]:
        if self.failing:
            if self.after:
                await self._commit(outcomes)
            raise self.failing.pop()
        return await self._commit(outcomes)


def seconds_of(clock: FakeClock) -> Callable[[], float]:
    """The same clock, in seconds."""

    def seconds() -> float:
        return clock.now.timestamp()

    return seconds


class Stalling(House):
    """Has a worker of ours with a lease that ends when the clock says so."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, store=Store(), max_attempts=3)
        self.commits = Commits(self.catalog.queue)

    async def claim(self) -> tuple[Sequence[Claim], Lease]:
        lease = Lease(LEASE, clock=seconds_of(self.clock))
        return await self.catalog.queue.claim("slow", limit=8, lease_seconds=LEASE), lease


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Stalling]:
    built = Stalling(tmp_path)
    await built.open()
    yield built
    await built.close()


# --- stalled


async def test_a_worker_that_slept_its_lease_out_writes_nothing(house: Stalling) -> None:
    await house.submit(Document("a", "alpha"))
    claims, lease = await house.claim()
    house.clock.advance(LEASE)
    assert list(await house.pipeline.run(claims, lease)) == []
    assert (house.store.upserts, await house.state("a")) == (0, "pending")
    await house.work()
    assert await house.revisions() == {"a": {1}}


async def test_a_write_that_comes_after_a_newer_revision_is_taken_back(house: Stalling) -> None:
    await house.submit(Document("a", "alpha"))
    claims, lease = await house.claim()

    async def overtaken() -> None:
        house.clock.advance(LEASE)
        await house.submit(Document("a", "changed"))
        await house.work()
        assert await house.revisions() == {"a": {2}}

    house.store.before_upsert.append(overtaken)
    await house.pipeline.run(claims, lease)
    assert await house.revisions() == {"a": {2}}
    assert (await house.catalog.documents.get("c", "a")).document.text == "changed"


async def test_a_write_that_comes_after_a_deletion_is_taken_back(house: Stalling) -> None:
    await house.submit(Document("a", "alpha"))
    claims, lease = await house.claim()

    async def overtaken() -> None:
        house.clock.advance(LEASE)
        await house.catalog.documents.tombstone("c", ["a"])
        await house.work()

    house.store.before_upsert.append(overtaken)
    await house.pipeline.run(claims, lease)
    assert await house.revisions() == {}


async def test_a_deletion_that_comes_late_spares_who_came_back(house: Stalling) -> None:
    await house.submit(Document("a", "alpha"))
    await house.work()
    await house.catalog.documents.tombstone("c", ["a"])
    stalled, _ = await house.claim()
    house.clock.advance(LEASE)
    await house.work()
    await house.submit(Document("a", "born again"))
    await house.work()
    await house.pipeline.run(stalled)
    assert await house.revisions() == {"a": {3}}


async def test_a_write_that_nobody_knows_of_any_more_is_removed_with_the_second_removal(house: Stalling) -> None:
    await house.submit(Document("a", "alpha"))
    await house.work()
    (late,) = (await house.store.fetch(house.index, [key.id async for key in house.store.keys(house.index)])).values()
    await house.catalog.documents.tombstone("c", ["a"])
    await house.work()
    await house.store.upsert(house.index, [late])
    maintenance = Maintenance(house.pipeline, house.catalog, house.settings, house.clock)
    await maintenance.run_once()
    assert await house.revisions() == {"a": {1}}
    house.clock.advance(SETTLING.total_seconds())
    await maintenance.run_once()
    assert await house.revisions() == {}


async def test_the_second_removal_spares_a_document_that_came_back(house: Stalling) -> None:
    await house.submit(Document("a", "alpha"))
    await house.work()
    await house.catalog.documents.tombstone("c", ["a"])
    await house.work()
    await house.submit(Document("a", "born again"))
    await house.work()
    house.clock.advance(SETTLING.total_seconds())
    await Maintenance(house.pipeline, house.catalog, house.settings, house.clock).run_once()
    assert await house.revisions() == {"a": {3}}


async def test_a_document_that_changes_in_hand_stays_searchable_until_the_change_is(house: Stalling) -> None:
    await house.submit(Document("a", "alpha"))
    claims, lease = await house.claim()
    await house.submit(Document("a", "changed"))
    await house.pipeline.run(claims, lease)
    assert await house.revisions() == {"a": {1}}
    await house.work()
    assert await house.revisions() == {"a": {2}}


async def test_a_lease_is_renewed_only_while_it_holds() -> None:
    clock = FakeClock()
    lease = Lease(10, clock=seconds_of(clock))
    clock.advance(9)
    lease.renew(lease.now())
    clock.advance(9)
    lease.require()
    clock.advance(1)
    lease.renew(lease.now())
    with pytest.raises(LeaseLost):
        lease.require()


# --- what is down


@pytest.mark.parametrize("after", [False, True])
async def test_what_is_done_waits_for_a_catalog_that_restarts(house: Stalling, after: bool) -> None:
    job_id = await house.submit(Document("a", "alpha"))
    house.commits.failing, house.commits.after = [UpstreamUnavailable("restarting")], after
    await house.work()
    job = await house.catalog.jobs.get(job_id)
    assert (job.status, job.indexed, house.store.upserts) == ("done", 1, 1)


async def test_however_long_storage_is_down_no_document_fails_for_it(house: Stalling) -> None:
    await house.submit(Document("a", "alpha"))

    async def down() -> None:
        raise UpstreamUnavailable("qdrant is down")

    for _ in range(20):
        house.store.before_upsert.append(down)
        assert await house.worker.work_once()
        house.clock.advance(60)
    assert await house.state("a") == "pending"
    await house.work()
    assert await house.state("a") == "indexed"


async def test_other_errors_fail_after_some_attempts_with_growing_pauses(house: Stalling) -> None:
    await house.submit(Document("a", "alpha"))

    async def broken() -> None:
        raise StorageFailure("the engine says no")

    pauses = []
    house.store.before_upsert = [broken] * 3
    while await house.state("a") == "pending":
        waited = 0
        while not await house.worker.work_once():
            house.clock.advance(1)
            waited += 1
        pauses.append(waited)
    stored = await house.catalog.documents.get("c", "a")
    assert (stored.state, stored.error, pauses) == ("failed", "the engine says no", [0, 1, 2])


async def test_a_rejection_of_one_document_spares_the_others(house: Stalling, monkeypatch: pytest.MonkeyPatch) -> None:
    embed = house.embedder.embed

    async def refuse(texts: Sequence[str], *rest: object, **options: object) -> object:
        if any("poison" in text for text in texts):
            raise InvalidDocument("poison")
        return await embed(texts, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(house.embedder, "embed", refuse)
    await house.catalog.documents.submit("c", [Document("a", "alpha"), Document("p", "poison"), Document("b", "beta")])
    await house.work()
    assert [await house.state(name) for name in "apb"] == ["indexed", "failed", "indexed"]


async def test_the_worker_stops_at_once_while_it_waits_for_storage(house: Stalling) -> None:
    async def down() -> None:
        raise UpstreamUnavailable("down")

    house.store.before_upsert = [down] * 100
    await house.submit(Document("a", "alpha"))
    task = asyncio.create_task(house.worker.run())
    async with asyncio.timeout(10):
        while not house.store.upserts:
            await asyncio.sleep(0)
        house.worker.stop()
        await task
    assert await house.state("a") == "pending"


@pytest.mark.parametrize(("stall_seconds", "attempts"), [(3600.0, 0), (0.0, 1)])
async def test_a_stop_counts_as_no_attempt_unless_the_batch_is_why_it_stopped(
    house: Stalling, monkeypatch: pytest.MonkeyPatch, stall_seconds: float, attempts: int
) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(loop, "STOP_SECONDS", 0.05)
    house.store.before_upsert = [hang]
    await house.submit(Document("a", "alpha"))
    worker = Worker(house.pipeline, house.catalog, house.settings, stall_seconds=stall_seconds)
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        while not house.store.upserts:
            await asyncio.sleep(0)
        worker.stop()
        await task
    (claimed,) = await house.catalog.queue.claim("next", limit=1, lease_seconds=LEASE)
    assert claimed.attempts == attempts


# --- documents that kill


def claim(name: str, attempts: int) -> Claim:
    return Claim("c", "index", Document(name, "text"), 1, 1, attempts=attempts)


def test_documents_that_were_tried_before_are_worked_on_alone() -> None:
    claims = [claim("new", 0), claim("once", 1), claim("twice", 2), claim("thrice", 3)]
    parts, (later,) = isolate(claims, max_attempts=3)
    assert [[each.document.id for each in part] for part in parts] == [["new", "once"], ["twice"]]
    assert (later.claim.document.id, later.waited, later.retry_in) == ("thrice", True, 0.0)


async def test_a_document_that_kills_its_workers_fails_in_the_end(house: Stalling) -> None:
    await house.submit(Document("killer", "alpha"))
    for _ in range(3 * FATAL):
        await house.catalog.queue.claim("victim", limit=1, lease_seconds=LEASE)
        house.clock.advance(LEASE)
    await house.submit(Document("other", "beta"))
    await house.work()
    stored = await house.catalog.documents.get("c", "killer")
    assert (stored.state, stored.error_code) == ("failed", WORKER_LOST)
    assert await house.state("other") == "indexed"


# --- maintenance


async def test_old_jobs_are_forgotten(house: Stalling) -> None:
    old = await house.submit(Document("a", "alpha"))
    await house.work()
    house.clock.advance(timedelta(days=2).total_seconds())
    recent = await house.submit(Document("b", "beta"))
    await house.work()
    await Maintenance(house.pipeline, house.catalog, IndexingSettings(keep_jobs_days=1), house.clock).run_once()
    assert (await house.catalog.jobs.get(recent)).status == "done"
    with pytest.raises(JobNotFound):
        await house.catalog.jobs.get(old)
