"""The open parts of a process (models, store, catalog, search) and the functions that open them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeAlias

from winnow.core.settings import Settings
from winnow.ports import Catalog, Embedder, Reranker, VectorStore
from winnow.search.embedders import Embedders
from winnow.search.lookup import CollectionLookup
from winnow.search.two_stage import TwoStageSearch


@dataclass(frozen=True)
class Resources:
    """The open parts of one process.

    Attributes:
        collections: a cached lookup for the read path.
        wake: tells a worker in this process about new work; does nothing without one, as the others poll.
        uncached: the embedder without its cache, which would answer a probe from memory; ``None`` if it has no cache.
        next_embedder: the embedder of ``WINNOW_NEXT_EMBEDDING__*``.
    """

    settings: Settings
    embedder: Embedder
    reranker: Reranker | None
    store: VectorStore
    catalog: Catalog
    collections: CollectionLookup
    search: TwoStageSearch
    wake: Callable[[], None] = lambda: None
    uncached: Embedder | None = None
    next_embedder: Embedder | None = None

    @property
    def embedders(self) -> Embedders:
        """The embedders to choose from by index."""
        return Embedders(self.embedder, self.next_embedder, keyword_tokenizer=self.store.keyword_tokenizer)


OpenResources: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[Resources]]


@dataclass(frozen=True, slots=True)
class Adapters:
    """Functions that open parts from settings. They belong to a module, so that other processes get them by name.

    Attributes:
        open_catalog: opens the configured catalog.
        open_store: opens the configured vector store.
        load_embedder: loads the configured embedder; blocks for seconds.
    """

    open_catalog: Callable[[Settings], Awaitable[Catalog]]
    open_store: Callable[[Settings], VectorStore]
    load_embedder: Callable[[Settings], Embedder]
