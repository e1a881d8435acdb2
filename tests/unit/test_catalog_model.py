"""Whatever is done to a catalog, in whatever order: it keeps what it promises to users and to workers."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.catalogs import new_catalog
from tests.contracts.catalog_data import FakeClock, chunk_keys, doc, make_collection
from winnow.core.errors import Conflict
from winnow.core.types import Document
from winnow.ports import Catalog, Claim, Outcome, Submission

COLLECTIONS = ("one", "two")
names = st.sampled_from("ab")
owners = st.sampled_from(["w1", "w2"])
documents = st.builds(
    lambda name, text, version: doc(name, text, version=version),
    names,
    st.sampled_from(["x", "y"]),
    st.sampled_from([None, None, 1, 2]),
)
collections = st.sampled_from([*COLLECTIONS, "one"])
priorities = st.sampled_from([0, 10])

submits = st.tuples(
    st.just("submit"), collections, st.lists(documents, min_size=1, max_size=3), st.sampled_from("st"), priorities
)
tombstones = st.tuples(st.just("tombstone"), collections, st.lists(names, min_size=1, max_size=3), priorities)
claims = st.tuples(st.just("claim"), owners, st.integers(1, 3))
endings = st.sampled_from(["success", "success", "retry", "fail"])
commits = st.tuples(st.just("commit"), st.lists(st.tuples(st.integers(-4, -1), endings), min_size=1, max_size=4))
renewals = st.tuples(st.just("renew"), owners)
releases = st.tuples(st.just("release"), st.none() | owners)
again = st.tuples(st.sampled_from(["cancel", "retry"]), st.integers(-4, -1))
pauses = st.tuples(st.just("advance"), st.sampled_from([1.0, 10.0, 31.0, 31.0]))
steps = st.lists(
    submits | submits | claims | claims | commits | commits | tombstones | renewals | releases | pauses | again,
    min_size=10,
    max_size=40,
)


LEASE = timedelta(seconds=30)


class Subject:
    """A catalog under test, and what its answers so far have promised.

    Attributes:
        texts: of every document that users have handed in and not deleted since.
        latest: the newest claim of each document.
        leases: who works on a document until when.
    """

    def __init__(self, catalog: Catalog, clock: FakeClock) -> None:
        self.catalog, self.clock = catalog, clock
        self.claims: list[Claim] = []
        self.jobs: list[str] = []
        self.texts: dict[tuple[str, str], str] = {}
        self.latest: dict[tuple[str, str], Claim] = {}
        self.leases: dict[tuple[str, str], tuple[str, datetime]] = {}

    async def do(self, step: tuple[Any, ...]) -> None:
        """Carry out one step, and see that its answer fits what was answered before."""
        match step:
            case ("submit", collection, batch, source, priority):
                self._submitted(
                    collection,
                    batch,
                    await self.catalog.documents.submit(collection, batch, source=source, priority=priority),
                )
            case ("tombstone", collection, ids, priority):
                found = await self.catalog.documents.tombstone(collection, ids, priority=priority)
                self.jobs.append(found.job_id)
                for name in ids:
                    self.texts.pop((collection, name), None)
            case ("claim", owner, limit):
                await self.claim(owner, limit)
            case ("commit", picks):
                await self._commit(self._outcomes(picks))
            case ("renew", owner):
                await self._renew(owner)
            case ("release", owner):
                await self.catalog.queue.release(owner)
                self.leases = {key: lease for key, lease in self.leases.items() if owner not in {None, lease[0]}}
            case ("cancel", number) if self.jobs:
                await self._cancel(self.jobs[number % len(self.jobs)])
            case ("retry", number) if self.jobs:
                found = await self.catalog.jobs.retry(self.jobs[number % len(self.jobs)])
                self.jobs += [found.job_id] if found.job_id else []

    def _submitted(self, collection: str, batch: Sequence[Document], found: Submission) -> None:
        self.jobs.append(found.job_id)
        rejected = {rejection.index for rejection in found.rejected}
        assert found.accepted == len(batch) - len(rejected)
        for index, document in enumerate(batch):
            again = document.id in {earlier.id for earlier in batch[:index]}
            assert not again or index in rejected
            if index not in rejected:
                self.texts[collection, document.id] = document.text

    async def claim(self, owner: str, limit: int) -> list[Claim]:
        """Claim, and see that no document is handed to two workers at a time."""
        claimed = list(await self.catalog.queue.claim(owner, limit=limit, lease_seconds=LEASE.total_seconds()))
        for claim in claimed:
            key = claim.collection, claim.document.id
            assert key not in self.leases or self.leases[key][1] <= self.clock.now
            assert key not in self.latest or self.latest[key].token < claim.token
            assert claim.kind == "delete" or self.texts.get(key) == claim.document.text
            self.latest[key], self.leases[key] = claim, (owner, self.clock.now + LEASE)
        self.claims += claimed
        return claimed

    async def _commit(self, outcomes: Sequence[Outcome]) -> None:
        """Commit, and see that only the newest claim of a document counts, and only once."""
        for outcome, accepted in zip(outcomes, await self.catalog.queue.commit(outcomes), strict=True):
            key = outcome.claim.collection, outcome.claim.document.id
            if self.latest.get(key) is outcome.claim:
                self.leases.pop(key, None)
                del self.latest[key]
            else:
                assert not accepted

    async def _renew(self, owner: str) -> None:
        mine = {key: claim for key, claim in self.latest.items() if self.leases.get(key, ("",))[0] == owner}
        held = [key for key in mine if self.leases[key][1] > self.clock.now]
        renewed = await self.catalog.queue.renew(owner, list(mine.values()), lease_seconds=LEASE.total_seconds())
        assert renewed <= len(held)
        self.leases |= dict.fromkeys(held, (owner, self.clock.now + LEASE))

    async def _cancel(self, job_id: str) -> None:
        try:
            await self.catalog.jobs.cancel(job_id)
        except Conflict:
            return
        for collection in COLLECTIONS:  # a document that was never indexed is deleted
            there = {stored.document.id async for stored in self.catalog.documents.scan(collection)}
            self.texts = {key: text for key, text in self.texts.items() if key[0] != collection or key[1] in there}

    def _outcomes(self, picks: Sequence[tuple[int, str]]) -> list[Outcome]:
        outcomes = []
        for number, ending in picks:
            if not self.claims:
                break
            claim = self.claims[number % len(self.claims)]
            made = {
                "success": Outcome(claim, chunks=chunk_keys(claim), embedded=2),
                "retry": Outcome(claim, error="busy", retry_in=10),
                "fail": Outcome(claim, error="broken", error_code="invalid_document"),
            }
            outcomes.append(made[ending])
        return outcomes

    async def observe(self) -> None:
        """See that listings, counts and jobs agree with each other and with what users have handed in."""
        for name in COLLECTIONS:
            documents = self.catalog.documents
            stored = [each async for each in documents.scan(name)]
            assert {each.document.id: each.document.text for each in stored} == {
                key[1]: text for key, text in self.texts.items() if key[0] == name
            }
            counts = await documents.counts(name)
            assert (counts.documents, counts.chunks) == (len(stored), sum(each.chunks for each in stored))
            states = Counter(each.state for each in stored)
            assert (counts.pending, counts.indexed, counts.failed) == tuple(
                states[state] for state in ("pending", "indexed", "failed")
            )
            assert counts.deleting == len(await documents.list(name, state="deleting"))
            assert [key.id for key in await documents.list(name)] == [each.document.id for each in stored]
        entries = [entry for name in COLLECTIONS for entry in await self.catalog.audit.entries(name)]
        assert await self.catalog.queue.backlog() == sum(entry.waits for entry in entries)
        for job_id in self.jobs:
            job = await self.catalog.jobs.get(job_id)
            ended = job.indexed + job.deleted + job.unchanged + job.failed + job.superseded + job.cancelled
            assert job.total == ended + job.pending
            assert (job.status == "done") == (job.pending == 0) == (job.finished_at is not None)

    async def work_off(self) -> None:
        """Do all the work that there is, and see that every job comes to its end."""
        while await self.catalog.queue.backlog():
            self.clock.advance(31)
            while claimed := await self.claim("w3", 10):
                await self._commit([Outcome(claim, chunks=chunk_keys(claim), embedded=2) for claim in claimed])
        assert {(await self.catalog.jobs.get(job_id)).status for job_id in self.jobs} <= {"done"}
        assert sum([(await self.catalog.documents.counts(name)).pending for name in COLLECTIONS]) == 0


async def run(folder: Path, plan: Sequence[tuple[Any, ...]]) -> None:
    clock = FakeClock()
    catalog = new_catalog(folder, clock)
    subject = Subject(catalog, clock)
    for name in COLLECTIONS:
        await catalog.collections.create(make_collection(name))
    for step in plan:
        if step[0] == "advance":
            clock.advance(step[1])
        else:
            await subject.do(step)
    await subject.observe()
    await subject.work_off()
    await subject.observe()
    await catalog.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=steps)
def test_promises_are_kept(plan: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder), plan))
