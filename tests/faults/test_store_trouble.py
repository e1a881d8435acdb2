"""Qdrant goes down, slow, full or wrong in mid-batch: the work waits, goes on where it was, and nothing is lost."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc  # type: ignore[import-untyped]
import pytest

from indexer.worker.batches import SLICE_CHUNKS
from indexer.worker.loop import Worker
from indexer.worker.pipeline import Pipeline
from tests.catalogs import new_catalog
from tests.contracts.catalog_data import FakeClock
from tests.stubs import qdrant_server
from tests.stubs.qdrant_server import MemoryServer
from winnow.core.settings import IndexingSettings
from winnow.core.settings.vectors import QdrantVectors
from winnow.core.types import Chunking, Collection, Document, Index
from winnow.ports import Embeddings, EmbedKind, IndexSchema, Outcome
from winnow.search.embedders import Embedders, identity_of
from winnow.testing.models import FakeEmbedder
from winnow.vectors.qdrant.server import open_client
from winnow.vectors.qdrant.store import QdrantVectorStore

DOCUMENTS = 8
PARAGRAPHS = 48  # of each document, so that one batch is written in two slices
UPSERT, REMOVE = "Upsert", "UpdateBatch"
TROUBLES = {
    "down": (grpc.StatusCode.UNAVAILABLE, "connection refused"),
    "full": (grpc.StatusCode.INTERNAL, "Service internal error: No space left on device"),
    "errors": (grpc.StatusCode.INTERNAL, "Service internal error: a shard has panicked"),
}


class Embedder(FakeEmbedder):
    """Counts what it embeds."""

    def __init__(self) -> None:
        super().__init__()
        self.embedded: Counter[str] = Counter()

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        self.embedded.update(texts)
        return await super().embed(texts, kind, instruct=instruct)


class House:
    """A worker on a server that obeys the test."""

    def __init__(self, server: MemoryServer, store: QdrantVectorStore, folder: Path) -> None:
        self.server, self.store = server, store
        self.clock, self.embedder = FakeClock(), Embedder()
        self.catalog = new_catalog(folder, self.clock)
        identity = identity_of(self.embedder, store.keyword_tokenizer)
        self.collection = Collection(Index("c", "u" * 32, 1, identity), Chunking(max_tokens=32, overlap=0), {})
        pipeline = Pipeline(
            Embedders(self.embedder, keyword_tokenizer=store.keyword_tokenizer),
            store,
            self.catalog,
            max_attempts=2,
        )
        self.outcomes: list[Outcome] = []
        settings = IndexingSettings(max_attempts=2)
        self.worker = Worker(pipeline, self.catalog, settings, self.outcomes.extend)

    async def open(self) -> None:
        info = self.embedder.info
        await self.catalog.collections.create(self.collection)
        await self.store.create(self.collection.serving.ref, IndexSchema(info.dimensions, info.token_dimensions))

    async def hand_in(self, version: int) -> str:
        documents = [Document(f"d{number}", text_of(number, version)) for number in range(DOCUMENTS)]
        return (await self.catalog.documents.submit("c", documents)).job_id

    async def work(self) -> None:
        """Work off what is due now."""
        while await self.worker.work_once():
            pass

    async def points(self) -> Counter[tuple[str, int]]:
        """Number of points by document and revision."""
        return Counter([(key.document_id, key.revision) async for key in self.store.keys(self.collection.serving.ref)])


def text_of(number: int, version: int) -> str:
    """Paragraphs that make a chunk each."""
    return "\n\n".join(f"d{number} v{version} p{each} " + "and so on " * 7 for each in range(PARAGRAPHS))


@asynccontextmanager
async def opened(timeout_seconds: float = 30.0) -> AsyncIterator[House]:
    async with qdrant_server.serve() as server:
        settings = QdrantVectors(url=server.url, grpc_port=server.grpc_port, timeout_seconds=timeout_seconds)
        store = QdrantVectorStore(open_client(settings), settings)
        with tempfile.TemporaryDirectory() as folder:
            house = House(server, store, Path(folder))
            await house.open()
            yield house
            await house.catalog.close()
        await store.close()


async def suffer(house: House, version: int) -> str:
    """Hand in a version whose batch the trouble befalls, and see that all of it waits; returns the job."""
    job_id = await house.hand_in(version)
    house.clock.advance(1)
    await house.worker.work_once()
    assert [(each.waited, each.retry_in is not None) for each in house.outcomes] == [(True, True)] * DOCUMENTS
    counts = await house.catalog.documents.counts("c")
    assert (counts.pending, counts.failed) == (DOCUMENTS, 0)
    return job_id


async def heal(house: House, job_id: str, revision: int) -> None:
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
        assert house.embedder.embedded.total() - len(house.embedder.embedded) == DOCUMENTS * PARAGRAPHS - SLICE_CHUNKS


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_server_that_fails_before_stale_points_are_gone_loses_no_version(trouble: str) -> None:
    async with opened() as house:
        await house.hand_in(1)
        await house.work()
        house.outcomes.clear()
        house.server.sabotage = lambda call: TROUBLES[trouble] if call == REMOVE else None
        await heal(house, await suffer(house, 2), 2)
        assert set(house.embedder.embedded.values()) == {1}, "what was written was embedded again"


async def test_a_server_that_answers_too_late_is_waited_for() -> None:
    async with opened(timeout_seconds=1.0) as house:
        house.server.slowness = lambda call: 5.0 if call == UPSERT and house.server.calls.count(UPSERT) > 1 else 0.0
        await heal(house, await suffer(house, 1), 1)
