"""One set-up of catalog, vectors, models, pipeline and worker; a test uses the parts that it needs.

Vectors and models are the fakes of `winnow.testing`, the catalog is SQLite in the test's own folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from indexer.worker.loop import Worker
from indexer.worker.pipeline import Pipeline
from tests.catalogs import new_catalog
from tests.contracts.catalog_data import FakeClock
from winnow.core.principal import LOCAL
from winnow.core.search import SearchAnswer, SearchRequest
from winnow.core.settings import IndexingSettings, SearchSettings
from winnow.core.types import Chunking, Collection, Document, Index
from winnow.operations.quotas import Quotas
from winnow.ports import EmbedderInfo, Embeddings, EmbedKind, IndexSchema, VectorStore
from winnow.search.embedders import Embedders, identity_of
from winnow.search.lookup import CollectionLookup
from winnow.search.two_stage import TwoStageSearch
from winnow.testing.models import FakeEmbedder, FakeReranker
from winnow.testing.vectors import FakeVectorStore

SMALL_CHUNKS: Final = Chunking(max_tokens=32, overlap=0)


class Model(FakeEmbedder):
    """An embedder that counts, and fails on demand.

    Attributes:
        embedded: the texts of documents that it embedded, in order.
        fail_on: a part of a text, and the error that a batch with it raises.
        coverage: what it reports for every text; none: what the fake finds.
    """

    def __init__(self, dimensions: int = 64, *, model: str = "fake-words", max_tokens: int = 256) -> None:
        super().__init__(dimensions)
        self._model, self._max_tokens = model, max_tokens
        self.embedded: list[str] = []
        self.fail_on: tuple[str, Exception] | None = None
        self.coverage: float | None = None

    @property
    def info(self) -> EmbedderInfo:
        """As the fake's, with this model's name and limit."""
        return replace(super().info, model=self._model, max_tokens=self._max_tokens)

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        """Count, fail or embed."""
        if self.fail_on is not None and any(self.fail_on[0] in text for text in texts):
            raise self.fail_on[1]
        if kind == "document":
            self.embedded += texts
        made = await super().embed(texts, kind, instruct=instruct)
        return made if self.coverage is None else replace(made, coverage=np.full_like(made.coverage, self.coverage))


class House:
    """A collection ``c`` with its catalog, store, embedder, pipeline and worker.

    Args:
        folder: where the catalog is kept.
        embedder: the model; by default one that counts.
        store: the vectors; by default a fake.
        chunking: of the collection.
        max_attempts: after which a document has failed.
        quotas: what tenants may use; by default as much as they like.
    """

    def __init__(
        self,
        folder: Path,
        *,
        embedder: FakeEmbedder | None = None,
        store: VectorStore | None = None,
        chunking: Chunking = SMALL_CHUNKS,
        max_attempts: int = 2,
        quotas: Quotas | None = None,
    ) -> None:
        self.folder, self.clock = folder, FakeClock()
        self.embedder: Any = embedder or Model()
        self.store: Any = store or FakeVectorStore()
        self.catalog = new_catalog(folder, self.clock)
        identity = identity_of(self.embedder, self.store.keyword_tokenizer)
        self.collection = Collection(Index("c", "u" * 32, 1, identity), chunking, {})
        self.index = self.collection.serving.ref
        self.embedders = Embedders(self.embedder, keyword_tokenizer=self.store.keyword_tokenizer)
        self.reranker: Any = FakeReranker()
        self.search_settings = SearchSettings()
        self.settings = IndexingSettings(max_attempts=max_attempts)
        self.pipeline = Pipeline(self.embedders, self.store, self.catalog, self.settings, quotas=quotas)
        self.worker = Worker(self.pipeline, self.catalog, self.settings)

    async def open(self) -> House:
        """Create the collection and its index."""
        info = self.embedder.info
        await self.catalog.collections.create(self.collection)
        await self.store.create(self.index, IndexSchema(info.dimensions, info.token_dimensions, {}))
        return self

    async def close(self) -> None:
        """Close what was opened."""
        await self.store.close()
        await self.catalog.close()

    async def submit(self, *documents: Document) -> str:
        """Hand in documents; returns the job."""
        return (await self.catalog.documents.submit("c", documents)).job_id

    async def work(self) -> None:
        """Process all work that is due."""
        while await self.worker.work_once():
            pass

    async def state(self, document_id: str) -> str:
        """The document's state in the catalog."""
        return (await self.catalog.documents.get("c", document_id)).state

    async def keys(self) -> set[tuple[str, int, int]]:
        """Document, revision and number of each chunk in the index; no chunk may be there twice."""
        found = [key async for key in self.store.keys(self.index)]
        assert len({key.id for key in found}) == len(found)
        return {(key.document_id, key.revision, key.chunk_index) for key in found}

    async def revisions(self) -> dict[str, set[int]]:
        """Revisions by document, of the points in the index."""
        found: dict[str, set[int]] = {}
        for document_id, revision, _ in await self.keys():
            found.setdefault(document_id, set()).add(revision)
        return found

    async def search(self, query: str = "copy a file", **changes: Any) -> SearchAnswer:
        """Search the collection for the best four, with the parts that the house has now."""
        search = TwoStageSearch(
            Embedders(self.embedder, keyword_tokenizer=self.store.keyword_tokenizer),
            self.store,
            CollectionLookup(self.catalog.collections),
            self.reranker,
            self.search_settings,
        )
        return await search.run(SearchRequest("c", query, **{"top_n": 4, **changes}), LOCAL)
