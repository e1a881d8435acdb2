"""Whatever is done to them, in whatever order: the catalog in memory and the one on SQLite stay the same."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.catalog_data import FakeClock, chunk_keys, doc, make_collection
from winnow.catalog.engine import Database, database_url
from winnow.catalog.fake import FakeCatalog
from winnow.catalog.migrate import migrate
from winnow.catalog.repository import catalog_of
from winnow.core.errors import Conflict
from winnow.ports import Catalog, Claim, Outcome

COLLECTIONS = ("one", "two")
names = st.sampled_from("abcd")
owners = st.sampled_from(["w1", "w2"])
documents = st.builds(
    lambda name, text, version: doc(name, text, version=version),
    names,
    st.sampled_from(["x", "y"]),
    st.sampled_from([None, None, 1, 2]),
)
collections = st.sampled_from(COLLECTIONS)
priorities = st.sampled_from([0, 10])

submits = st.tuples(st.just("submit"), collections, st.lists(documents, max_size=4), st.sampled_from("st"), priorities)
tombstones = st.tuples(st.just("tombstone"), collections, st.lists(names, max_size=3), priorities)
claims = st.tuples(st.just("claim"), owners, st.integers(1, 3))
endings = st.sampled_from(["success", "success", "retry", "fail"])
commits = st.tuples(st.just("commit"), st.lists(st.tuples(st.integers(0, 20), endings), min_size=1, max_size=4))
renewals = st.tuples(st.just("renew"), owners)
releases = st.tuples(st.just("release"), st.none() | owners)
recalls = st.tuples(st.sampled_from(["cancel", "retry"]), st.integers(0, 5))
pauses = st.tuples(st.just("advance"), st.sampled_from([1.0, 10.0, 31.0]))
steps = st.lists(
    submits | submits | claims | claims | commits | commits | tombstones | renewals | releases | pauses | recalls,
    max_size=30,
)


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy: migrating anew for every example takes longer than the example."""
    file = tmp_path_factory.mktemp("catalog") / "empty.db"
    migrate(database_url(f"sqlite:///{file}"))
    return file


class Subject:
    """A catalog under test, with the claims and jobs that it has handed out."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.claims: list[Claim] = []
        self.jobs: list[str] = []

    async def do(self, step: tuple[Any, ...]) -> Any:
        """Carry out one step and return what a caller sees of it."""
        match step:
            case ("submit", collection, batch, source, priority):
                found = await self.catalog.documents.submit(collection, batch, source=source, priority=priority)
            case ("tombstone", collection, ids, priority):
                found = await self.catalog.documents.tombstone(collection, ids, priority=priority)
            case ("claim", owner, limit):
                claimed = list(await self.catalog.queue.claim(owner, limit=limit, lease_seconds=30))
                self.claims.extend(claimed)
                return claimed
            case ("commit", picks):
                return list(await self.catalog.queue.commit(self._outcomes(picks)))
            case ("renew", owner):
                return await self.catalog.queue.renew(
                    owner, list({c.document.id: c for c in self.claims}.values()), lease_seconds=30
                )
            case ("release", owner):
                return await self.catalog.queue.release(owner)
            case ("cancel" | "retry" as recall, number):
                return await self._recall(recall, self.jobs[number % len(self.jobs)]) if self.jobs else None
        self.jobs.append(found.job_id)
        return replace(found, job_id="")

    async def _recall(self, recall: str, job_id: str) -> Any:
        if recall == "retry":
            found = await self.catalog.jobs.retry(job_id)
            self.jobs += [found.job_id] if found.job_id else []
            return replace(found, job_id="")
        try:
            return replace(await self.catalog.jobs.cancel(job_id), id="")
        except Conflict:
            return "refused"

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

    async def observe(self) -> Any:
        """All that can be seen from outside."""
        seen: list[Any] = [await self.catalog.queue.backlog()]
        for name in COLLECTIONS:
            seen.append(await self.catalog.documents.counts(name))
            seen.append([stored async for stored in self.catalog.documents.scan(name)])
            seen.extend([list(await self.catalog.documents.list(name, state=s)) for s in (None, "failed", "deleting")])
        jobs = [await self.catalog.jobs.get(job_id) for job_id in self.jobs]
        for job in jobs:
            ended = job.indexed + job.deleted + job.unchanged + job.failed + job.superseded + job.cancelled
            assert job.total == ended + job.pending
            assert (job.status == "done") == (job.pending == 0) == (job.finished_at is not None)
        return seen, [replace(job, id="") for job in jobs]


async def run_both(file: Path, plan: Sequence[tuple[Any, ...]]) -> None:
    clock = FakeClock()
    database = catalog_of(Database(database_url(f"sqlite:///{file}")), clock)
    subjects = Subject(FakeCatalog(clock)), Subject(database)
    for name in COLLECTIONS:
        for subject in subjects:
            await subject.catalog.collections.create(make_collection(name))
    for step in plan:
        if step[0] == "advance":
            clock.advance(step[1])
            continue
        fake, real = [await subject.do(step) for subject in subjects]
        assert fake == real, step
    fake, real = [await subject.observe() for subject in subjects]
    assert fake == real
    await database.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=steps)
def test_memory_and_sqlite_agree(empty_database: Path, plan: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(shutil.copy(empty_database, folder))
        asyncio.run(run_both(file, plan))
