"""The composition root: settings in, open resources out.

With ``winnow.storage`` the only module that imports adapters of models, vectors and the catalog.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from indexer.bulk.job import BulkJob, open_bulk_job
from indexer.bulk.options import RayOptions, require_servers
from indexer.schedule import open_kept
from indexer.sources.uploads import UploadParser
from indexer.worker.loop import Worker
from indexer.worker.maintenance import Maintenance
from indexer.worker.pipeline import Pipeline
from winnow.background import keeping_reserve, until_closed
from winnow.catalog.build import open_catalog
from winnow.core.lock import DirectoryLock
from winnow.core.settings import Settings
from winnow.core.settings.embedding import Embedding
from winnow.models.build import build_chooser, build_default, build_embedder, build_further, build_reranker
from winnow.operations.collections import finish_deletions
from winnow.operations.index_watch import IndexWatch
from winnow.operations.name_indexes import NameIndexes
from winnow.operations.quotas import Quotas
from winnow.operations.resources import Adapters, Resources
from winnow.ports import Embedder, Reranker, VectorStore
from winnow.search.budgeted import BudgetedReranker
from winnow.search.embedders import Embedders
from winnow.search.guarded_models import GuardedEmbedder, GuardedReranker
from winnow.search.lookup import CollectionLookup
from winnow.search.query_cache import CachedEmbedder
from winnow.search.two_stage import TwoStageSearch
from winnow.storage import lock_data
from winnow.typeahead.tantivy_index import TantivyNames
from winnow.vectors.build import build_store

ADAPTERS: Final = Adapters(open_catalog, build_store, build_embedder, build_further)


@dataclass(frozen=True)
class Local:
    """The open parts of a process that owns its data directory and may index."""

    resources: Resources
    worker: Worker | BulkJob
    lock: DirectoryLock | None
    watch: IndexWatch


@asynccontextmanager
async def open_local(settings: Settings, *, bulk: RayOptions | None = None, heals: bool = True) -> AsyncIterator[Local]:
    """Take the data directory if anything is kept there, open everything and finish interrupted deletions.

    With ``bulk`` a job on Ray takes the worker's place. Catalog and store are compared from then on; where ``heals``,
    lost indexes are made again.

    Raises:
        InvalidSettings: ``bulk`` with embedded storage, which one process alone may write.
        DataDirectoryLocked: another process owns it; the error says which, and where it serves.
    """
    if bulk is not None:
        require_servers(settings)
    async with AsyncExitStack() as stack:
        lock = stack.enter_context(lock_data(settings))
        job = None
        if bulk is not None:
            job = await stack.enter_async_context(open_bulk_job(settings, bulk, ADAPTERS))
        resources = await stack.enter_async_context(
            open_resources(settings) if job is None else open_resources(settings, job.load, job.load)
        )
        await finish_deletions(resources)
        if not settings.shares_catalog:
            await resources.catalog.queue.release(None)  # no other process can hold a lease
            await resources.catalog.files.release()
        catalog, indexing = resources.catalog, settings.indexing
        pipeline = Pipeline(resources.embedders, resources.store, catalog, indexing, quotas=resources.quotas)
        worker: Worker | BulkJob
        if job is None:
            worker = Worker(pipeline, catalog, indexing, stall_seconds=settings.operations.stall_seconds)
        else:
            job.attach(catalog, Maintenance(pipeline, catalog, indexing))
            worker = job
        resources = replace(resources, wake=worker.wake)
        watch = IndexWatch(resources, heals=heals)
        pipeline.on_lost = watch.wake
        await stack.enter_async_context(until_closed(watch.run(), name="index-watch"))
        if settings.keeps_data:
            await stack.enter_async_context(until_closed(keeping_reserve(settings), name="disk-reserve"))
        yield Local(replace(resources, watch=watch), worker, lock, watch)


@asynccontextmanager
async def open_resources(
    settings: Settings,
    load: Callable[[Settings], Embedder] = build_default,
    load_further: Callable[[Settings], Embedder] = build_further,
) -> AsyncIterator[Resources]:
    """Open everything that ``settings`` name; close it in the reverse order.

    Models load on threads while the catalog migrates and the store opens: the default one and the next by ``load``,
    further ones by ``load_further``.
    """
    async with AsyncExitStack() as stack:
        models = LoadingModels(stack, settings, load, load_further)
        catalog = await open_catalog(settings)
        stack.push_async_callback(catalog.close)
        store = build_store(settings)
        stack.push_async_callback(store.close)
        embedders = await models.embedders(store)
        reranker = build_reranker(settings, embedders, store)
        if reranker is not None:
            stack.push_async_callback(reranker.close)
        collections = CollectionLookup(catalog.collections)
        guarded = None if reranker is None else GuardedReranker(reranker)
        second = None if guarded is None else BudgetedReranker(guarded)
        search = TwoStageSearch(embedders, store, collections, second, settings.search)
        files = UploadParser()
        stack.push_async_callback(files.close)
        names = NameIndexes(catalog, store, TantivyNames)
        stack.push_async_callback(names.close)
        quotas = Quotas(settings.limits)
        stack.push_async_callback(quotas.close)
        yield Resources(
            settings,
            embedders,
            reranker,
            store,
            catalog,
            collections,
            search,
            files,
            names,
            chooser=build_chooser(settings),
            text_reranker=None if guarded is None else BudgetedReranker(guarded.for_texts()),
            quotas=quotas,
            check_source=open_kept,
        )


@asynccontextmanager
async def open_apart(settings: Settings) -> AsyncIterator[tuple[VectorStore, Embedders, Reranker | None]]:
    """Open the vector store and the models without the catalog: for a check-up while it does not open."""
    async with AsyncExitStack() as stack:
        models = LoadingModels(stack, settings, build_default, build_further)
        store = build_store(settings)
        stack.push_async_callback(store.close)
        embedders = await models.embedders(store)
        reranker = build_reranker(settings, embedders, store)
        if reranker is not None:
            stack.push_async_callback(reranker.close)
        yield store, embedders, reranker


class LoadingModels:
    """The configured embedders, each loading on a thread; ``stack`` closes what loads too late to be used."""

    def __init__(
        self,
        stack: AsyncExitStack,
        settings: Settings,
        load: Callable[[Settings], Embedder],
        load_further: Callable[[Settings], Embedder],
    ) -> None:
        self._stack, self._settings = stack, settings
        (self._name, first), *others = settings.encoders.items()
        self._current = self._start(load, first)
        self._further = {name: self._start(load_further, each) for name, each in others}
        self._next = None if settings.next_embedding is None else self._start(load, settings.next_embedding)

    async def embedders(self, store: VectorStore) -> Embedders:
        """All of them, loaded, each behind its limits and a cache of queries."""
        return Embedders(
            await self._loaded(self._current),
            None if self._next is None else await self._loaded(self._next),
            further={name: await self._loaded(each) for name, each in self._further.items()},
            name=self._name,
            keyword_tokenizer=store.keyword_tokenizer,
        )

    def _start(self, load: Callable[[Settings], Embedder], encoder: Embedding) -> asyncio.Task[Embedder]:
        loading = asyncio.create_task(asyncio.to_thread(load, self._settings.with_encoder(encoder)))
        self._stack.push_async_callback(_abandon, loading)
        return loading

    async def _loaded(self, loading: asyncio.Task[Embedder]) -> Embedder:
        embedder = CachedEmbedder(GuardedEmbedder(await loading), size=self._settings.search.embed_cache)
        self._stack.push_async_callback(embedder.close)
        return embedder


async def _abandon(loading: asyncio.Task[Embedder]) -> None:
    """Close a model that loaded too late to be used, so that no thread outlives the resources."""
    if not loading.done():
        embedder = await loading
        await embedder.close()
