"""Fixtures that all tests may use: settings over fakes, open resources, and the service with a client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog

from indexer.sources.uploads import UploadParser
from indexer.worker.loop import Worker
from indexer.worker.pipeline import Pipeline
from service.app import create_app
from tests.catalogs import new_catalog
from tests.fakes import FAKES
from tests.support.house import House
from winnow.core.settings import Settings, load_settings
from winnow.models.build import build_embedder, build_reranker
from winnow.operations.index_watch import IndexWatch
from winnow.operations.name_indexes import NameIndexes
from winnow.operations.quotas import Quotas
from winnow.operations.resources import Resources
from winnow.search.embedders import Embedders
from winnow.search.guarded_models import GuardedEmbedder, GuardedReranker
from winnow.search.lookup import CollectionLookup
from winnow.search.two_stage import TwoStageSearch
from winnow.typeahead.tantivy_index import TantivyNames
from winnow.vectors.build import build_store


@pytest.fixture(autouse=True)
def _structured_log_through_logging() -> None:
    """So that ``caplog`` sees it and the terminal does not, also after a test that ran a command in this process."""
    logging.getLogger().setLevel(logging.WARNING)
    structlog.reset_defaults()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.stdlib.render_to_log_kwargs],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


@pytest.fixture(autouse=True)
def _worker_looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.worker.claims.POLL_SECONDS", 0.01)


@pytest.fixture(autouse=True)
def _catalog_writes_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.catalog.keys.USED_SECONDS", 0.02)
    monkeypatch.setattr("winnow.catalog.trail.NOTED_SECONDS", 0.02)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that need no model and no engine."""
    return load_settings(data_dir=tmp_path, **FAKES)


class Service:
    """The service over fakes, with a client in front and a worker behind that works when it is told to.

    Attributes:
        watch: compares catalog and store when it is told to.
        automatic: whether a submission wakes the worker, as in a process that runs both.
    """

    def __init__(self, settings: Settings) -> None:
        embedder, store, catalog = build_embedder(settings), build_store(settings), new_catalog(settings.data_dir)
        embedders = Embedders(embedder, keyword_tokenizer=store.keyword_tokenizer)
        reranker = build_reranker(settings, embedders, store)
        collections = CollectionLookup(catalog.collections)
        guarded = Embedders(GuardedEmbedder(embedder), keyword_tokenizer=store.keyword_tokenizer)
        second = None if reranker is None else GuardedReranker(reranker)
        search = TwoStageSearch(guarded, store, collections, second, settings.search)
        self.files = UploadParser()
        self.names = NameIndexes(catalog, store, TantivyNames, patience=60.0)
        resources = Resources(
            settings,
            embedders,
            reranker,
            store,
            catalog,
            collections,
            search,
            self.files,
            self.names,
            self._wake,
            text_reranker=None if second is None else second.for_texts(),
            quotas=Quotas(settings.limits),
        )
        self.watch = IndexWatch(resources, heals=True)
        self.resources = replace(resources, watch=self.watch)
        pipeline = Pipeline(embedders, store, catalog, settings.indexing)
        self._worker = Worker(pipeline, catalog, settings.indexing)
        self._work: set[asyncio.Task[None]] = set()
        self.automatic = False
        self.app = create_app(settings, self.resources)
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(self.app), base_url="http://127.0.0.1")

    async def index(self) -> None:
        """Do all the work that waits."""
        while await self._worker.work_once():
            pass

    async def fill(self, collection: str, documents: list[dict[str, Any]], **spec: Any) -> None:
        """Make a collection and index documents into it, over HTTP."""
        made = await self.client.put(f"/v1/collections/{collection}", json=spec)
        assert made.is_success, made.text
        sent = await self.client.post(f"/v1/collections/{collection}/documents", json={"documents": documents})
        assert sent.status_code == 202, sent.text
        await self.index()

    async def close(self) -> None:
        await asyncio.gather(*self._work)
        await self.client.aclose()
        await self.files.close()
        await self.names.close()
        await self.resources.store.close()
        await self.resources.embedder.close()
        await self.resources.catalog.close()

    def _wake(self) -> None:
        if self.automatic:
            task = asyncio.create_task(self.index())
            self._work.add(task)
            task.add_done_callback(self._work.discard)


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    """The service over fakes."""
    running = Service(settings)
    yield running
    await running.close()


@pytest.fixture
def client(service: Service) -> httpx2.AsyncClient:
    """A client of ``service``."""
    return service.client


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A collection with everything that a worker and a search need, over fakes."""
    opened = await House(tmp_path).open()
    yield opened
    await opened.close()
