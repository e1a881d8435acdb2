"""Opening and closing what a process needs: models, store, catalog, and the search over them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from winnow.catalog.build import open_catalog
from winnow.core.settings import Settings
from winnow.models.build import build_embedder, build_reranker
from winnow.ports import Catalog, Embedder, Reranker, VectorStore
from winnow.search.embedders import Embedders
from winnow.search.instrument import CachedEmbedder
from winnow.search.lookup import CollectionLookup
from winnow.search.two_stage import TwoStageSearch
from winnow.vectors.build import build_store


def _nobody_to_wake() -> None:
    """Stand in where the worker runs in another process: it polls."""


@dataclass(frozen=True)
class Resources:
    """The open parts of one process.

    Attributes:
        collections: what the read path looks collections up in.
        wake: tells a worker in the same process that work waits.
        uncached: the embedder without its cache, which would answer a check-up from memory; ``None`` where it has none.
        next_embedder: that of ``WINNOW_NEXT_EMBEDDING__*``.
    """

    settings: Settings
    embedder: Embedder
    reranker: Reranker | None
    store: VectorStore
    catalog: Catalog
    collections: CollectionLookup
    search: TwoStageSearch
    wake: Callable[[], None] = field(default=_nobody_to_wake)
    uncached: Embedder | None = None
    next_embedder: Embedder | None = None

    @property
    def embedders(self) -> Embedders:
        """The embedders to choose from by collection."""
        return Embedders(self.embedder, self.next_embedder)


@asynccontextmanager
async def open_resources(
    settings: Settings, load: Callable[[Settings], Embedder] = build_embedder
) -> AsyncIterator[Resources]:
    """Open everything that ``settings`` name and close it in the reverse order.

    Models load (``load``, on a thread) while the catalog migrates and the store opens.
    """
    async with AsyncExitStack() as stack:
        loading = _load(stack, load, settings)
        loading_next = None
        if settings.next_embedding is not None:
            loading_next = _load(stack, load, settings.model_copy(update={"embedding": settings.next_embedding}))
        catalog = await open_catalog(settings)
        stack.push_async_callback(catalog.close)
        store = build_store(settings)
        stack.push_async_callback(store.close)
        model = await loading
        embedder = _cached(stack, model, settings)
        next_embedder = None if loading_next is None else _cached(stack, await loading_next, settings)
        embedders = Embedders(embedder, next_embedder)
        reranker = build_reranker(settings, embedders, store)
        if reranker is not None:
            stack.push_async_callback(reranker.close)
        collections = CollectionLookup(catalog)
        search = TwoStageSearch(embedders, store, collections, reranker, settings.search)
        yield Resources(
            settings,
            embedder,
            reranker,
            store,
            catalog,
            collections,
            search,
            uncached=model,
            next_embedder=next_embedder,
        )


def _load(stack: AsyncExitStack, load: Callable[[Settings], Embedder], settings: Settings) -> asyncio.Task[Embedder]:
    loading = asyncio.create_task(asyncio.to_thread(load, settings))
    stack.push_async_callback(_abandon, loading)
    return loading


def _cached(stack: AsyncExitStack, model: Embedder, settings: Settings) -> Embedder:
    embedder = CachedEmbedder(model, size=settings.search.embed_cache)
    stack.push_async_callback(embedder.close)
    return embedder


async def _abandon(loading: asyncio.Task[Embedder]) -> None:
    """Wait out a load that nobody took over, so that no thread outlives the process's resources."""
    if not loading.done():
        embedder = await loading
        await embedder.close()
