"""A collection between two models, over fakes: what tests of re-embedding work in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from indexer.sources.uploads import UploadParser
from indexer.worker.loop import Worker
from indexer.worker.pipeline import Pipeline
from tests.catalogs import new_catalog
from tests.contracts.catalog_data import FakeClock
from tests.fakes import FAKES
from tests.support.house import Model
from winnow.core.principal import LOCAL
from winnow.core.settings import IndexingSettings, load_settings
from winnow.core.types import Document
from winnow.operations import reembed as reembedding
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.operations.name_indexes import NameIndexes
from winnow.operations.resources import Resources
from winnow.ports import Point
from winnow.search.embedders import Embedders
from winnow.search.lookup import CollectionLookup
from winnow.search.two_stage import TwoStageSearch
from winnow.testing.models import FakeEmbedder
from winnow.testing.vectors import FakeVectorStore
from winnow.typeahead.tantivy_index import TantivyNames


def model_of(dimensions: int, *, max_tokens: int = 256) -> Model:
    """An embedder whose name tells its dimensions."""
    return Model(dimensions, model=f"fake-{dimensions}", max_tokens=max_tokens)


async def ended(_budget_ms: float) -> None:
    """Return at once: these tests run no search while they drop an index."""


class Killed(BaseException):
    """What no handler for errors sees, as a killed process."""


async def killed(_: object) -> None:
    raise Killed


class Reembed:
    """The parts of a process over fakes, with an old model of 32 dimensions and a new one of 64."""

    def __init__(self, folder: Path, *, new: Model | None = None) -> None:
        self.old, self.new = model_of(32), new or model_of(64)
        self.store, self.clock = FakeVectorStore(), FakeClock()
        self.catalog = new_catalog(folder, self.clock)
        self.settings = load_settings(data_dir=folder, **FAKES, search={"budget_ms": 30_000})
        self.resources = self.process(self.old, self.new)
        self.worker = self.worker_of(self.old, self.new)

    def process(self, embedder: Model, following: Model | None) -> Resources:
        lookup = CollectionLookup(self.catalog.collections)
        embedders = Embedders(embedder, following, keyword_tokenizer=self.store.keyword_tokenizer)
        search = TwoStageSearch(embedders, self.store, lookup, None, self.settings.search)
        return Resources(
            self.settings,
            embedders,
            None,
            self.store,
            self.catalog,
            lookup,
            search,
            UploadParser(),
            NameIndexes(self.catalog, self.store, TantivyNames),
        )

    def pipeline(self, *models: Model) -> Pipeline:
        return Pipeline(
            Embedders(*models, keyword_tokenizer=self.store.keyword_tokenizer),
            self.store,
            self.catalog,
            IndexingSettings(max_attempts=1),
        )

    def worker_of(self, *models: Model) -> Worker:
        return Worker(self.pipeline(*models), self.catalog, IndexingSettings())

    async def submit(self, **texts: str) -> None:
        await self.catalog.documents.submit("c", [Document(name, text) for name, text in texts.items()])

    async def delete(self, *names: str) -> None:
        await self.catalog.documents.tombstone("c", names)

    async def work(self) -> None:
        while await self.worker.work_once():
            pass

    async def start(self) -> reembedding.Status:
        return await reembedding.start(self.resources, LOCAL, "c")

    async def build(self) -> reembedding.Status:
        await self.start()
        await self.work()
        return await reembedding.status(self.resources, LOCAL, "c")

    async def points(self, generation: int) -> dict[str, list[Point]]:
        (index,) = [each for each in await self.store.indexes() if each.generation == generation]
        found: dict[str, list[Point]] = {}
        for point in (await self.store.fetch(index, [key.id async for key in self.store.keys(index)])).values():
            found.setdefault(point.document_id, []).append(point)
        return found

    async def texts(self, generation: int) -> dict[str, tuple[int, list[str]]]:
        """Revision and chunks of each document in an index."""
        found = await self.points(generation)
        return {
            name: (max(point.revision for point in points), sorted(point.chunk.text for point in points))
            for name, points in found.items()
        }

    async def require_both(self, **texts: tuple[int, list[str]]) -> None:
        assert await self.texts(1) == texts
        assert await self.texts(2) == texts
        for generation, model in ((1, self.old), (2, self.new)):
            for points in (await self.points(generation)).values():
                for point in points:
                    made = await FakeEmbedder.embed(model, [point.chunk.text], "document")
                    assert point.dense is not None
                    assert point.dense.shape == (model.info.dimensions,)
                    assert abs(float(point.dense @ made.vectors[0]) - 1) < 1e-3


@asynccontextmanager
async def furnished(folder: Path) -> AsyncIterator[Reembed]:
    """A set-up with three documents in its old index."""
    built = Reembed(folder)
    await ensure_collection(built.resources, LOCAL, "c", CollectionSpec(max_tokens=32, overlap=0))
    await built.submit(a="alpha", b="beta", c="gamma")
    await built.work()
    yield built
    await built.store.close()
    await built.catalog.close()
