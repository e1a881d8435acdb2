"""Qdrant goes down, slow, full or wrong in mid-batch: the work waits, goes on where it was, and nothing is lost."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc  # type: ignore[import-untyped]
import pytest

from indexer.worker.batches import SLICE_CHUNKS
from tests.stubs import qdrant_server
from tests.stubs.qdrant_server import MemoryServer
from tests.support.house import House
from winnow.core.settings.vectors import QdrantVectors
from winnow.core.types import Document
from winnow.ports import Outcome
from winnow.vectors.qdrant.server import server_client
from winnow.vectors.qdrant.store import QdrantVectorStore

DOCUMENTS = 8
PARAGRAPHS = 48  # of each document, so that one batch is written in two slices
UPSERT, REMOVE = "Upsert", "UpdateBatch"
TROUBLES = {
    "down": (grpc.StatusCode.UNAVAILABLE, "connection refused"),
    "full": (grpc.StatusCode.INTERNAL, "Service internal error: No space left on device"),
    "errors": (grpc.StatusCode.INTERNAL, "Service internal error: a shard has panicked"),
}


class OnServer(House):
    """Has its vectors on a server that obeys the test."""

    def __init__(self, server: MemoryServer, store: QdrantVectorStore, folder: Path) -> None:
        super().__init__(folder, store=store)
        self.server = server
        self.outcomes: list[Outcome] = []
        self.worker.on_outcomes = self.outcomes.extend

    async def hand_in(self, version: int) -> str:
        return await self.submit(*(Document(f"d{number}", text_of(number, version)) for number in range(DOCUMENTS)))

    async def points(self) -> Counter[tuple[str, int]]:
        """Number of points by document and revision."""
        return Counter((document_id, revision) for document_id, revision, _ in await self.keys())


def text_of(number: int, version: int) -> str:
    """Paragraphs that make a chunk each."""
    return "\n\n".join(f"d{number} v{version} p{each} " + "and so on " * 7 for each in range(PARAGRAPHS))


@asynccontextmanager
async def opened(timeout_seconds: float = 30.0) -> AsyncIterator[OnServer]:
    async with qdrant_server.serve() as server:
        settings = QdrantVectors(url=server.url, grpc_port=server.grpc_port, timeout_seconds=timeout_seconds)
        store = QdrantVectorStore(server_client(settings), settings)
        with tempfile.TemporaryDirectory() as folder:
            house = OnServer(server, store, Path(folder))
            await house.open()
            yield house
            await house.close()


async def suffer(house: OnServer, version: int) -> str:
    """Hand in a version whose batch the trouble befalls, and see that all of it waits; returns the job."""
    job_id = await house.hand_in(version)
    house.clock.advance(1)
    await house.worker.work_once()
    assert [(each.waited, each.retry_in is not None) for each in house.outcomes] == [(True, True)] * DOCUMENTS
    counts = await house.catalog.documents.counts("c")
    assert (counts.pending, counts.failed) == (DOCUMENTS, 0)
    return job_id


async def heal(house: OnServer, job_id: str, revision: int) -> None:
    """End the trouble; everything must be indexed, each chunk once, in this revision alone."""
    house.server.sabotage = lambda _: None
    house.server.slowness = lambda _: 0.0
    house.clock.advance(60)
    await house.work()
    job = await house.catalog.jobs.get(job_id)
    assert (job.status, job.indexed, job.failed) == ("done", DOCUMENTS, 0)
    assert await house.points() == {(f"d{number}", revision): PARAGRAPHS for number in range(DOCUMENTS)}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_server_that_fails_between_two_writes_costs_the_second_only(trouble: str) -> None:
    async with opened() as house:
        house.server.sabotage = lambda _: TROUBLES[trouble] if house.server.calls.count(UPSERT) > 1 else None
        await heal(house, await suffer(house, 1), 1)
        assert len(house.embedder.embedded) - len(set(house.embedder.embedded)) == DOCUMENTS * PARAGRAPHS - SLICE_CHUNKS


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_server_that_fails_before_stale_points_are_gone_loses_no_version(trouble: str) -> None:
    async with opened() as house:
        await house.hand_in(1)
        await house.work()
        house.outcomes.clear()
        house.server.sabotage = lambda call: TROUBLES[trouble] if call == REMOVE else None
        await heal(house, await suffer(house, 2), 2)
        assert len(house.embedder.embedded) == len(set(house.embedder.embedded)), "what was written was embedded again"


async def test_a_server_that_answers_too_late_is_waited_for() -> None:
    async with opened(timeout_seconds=1.0) as house:
        house.server.slowness = lambda call: 5.0 if call == UPSERT and house.server.calls.count(UPSERT) > 1 else 0.0
        await heal(house, await suffer(house, 1), 1)
