"""Opening and closing what a process needs: models, store, catalog, and the search over them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TypeAlias

from winnow.core.settings import Settings
from winnow.ports import Catalog, Embedder, Reranker, VectorStore
from winnow.search.embedders import Embedders
from winnow.search.lookup import CollectionLookup
from winnow.search.two_stage import TwoStageSearch


def _wake_no_worker() -> None:
    """Do nothing: a worker in another process polls."""


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
    wake: Callable[[], None] = field(default=_wake_no_worker)
    uncached: Embedder | None = None
    next_embedder: Embedder | None = None

    @property
    def embedders(self) -> Embedders:
        """The embedders to choose from by index."""
        return Embedders(self.embedder, self.next_embedder, keyword_tokenizer=self.store.keyword_tokenizer)


OpenResources: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[Resources]]


@dataclass(frozen=True, slots=True)
class Adapters:
    """The ways from settings to open parts. Functions of a module, so that they reach other processes by name.

    Attributes:
        open_catalog: opens the configured catalog.
        open_store: opens the configured vector store.
        load_embedder: loads the configured embedder; blocks for seconds.
    """

    open_catalog: Callable[[Settings], Awaitable[Catalog]]
    open_store: Callable[[Settings], VectorStore]
    load_embedder: Callable[[Settings], Embedder]
