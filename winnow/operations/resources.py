"""The open parts of a process (models, store, catalog, search) and the functions that open them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from winnow.core.settings import Settings
from winnow.operations.popular_queries import PopularQueries
from winnow.ports import Catalog, Embedder, FileParser, Reranker, VectorStore
from winnow.search.facets import FacetCounter

if TYPE_CHECKING:  # commands that read the catalog alone do not load what searches
    from winnow.operations.name_indexes import NameIndexes
    from winnow.operations.quotas import Quotas
    from winnow.search.embedders import Embedders
    from winnow.search.lookup import CollectionLookup
    from winnow.search.two_stage import TwoStageSearch


class Watch(Protocol):
    """The comparison of catalog and store as its readers see it."""

    @property
    def findings(self) -> Mapping[str, str]:
        """What is wrong with the indexes of a collection, by its name."""

    @property
    def age(self) -> float:
        """Seconds since the comparison."""

    def wake(self) -> None:
        """Compare again soon: an index turned out to be lost."""


@dataclass(frozen=True)
class Resources:
    """The open parts of one process.

    Attributes:
        embedders: the configured ones, to choose from by name or by index.
        collections: a cached lookup for the read path.
        files: parses uploaded files.
        names: what instant searches ask.
        wake: tells a worker in this process about new work; does nothing without one, as the others poll.
        watch: compares catalog and store while the process runs; ``None`` where nothing does.
        text_reranker: the guarded reranker of texts that callers send, apart from searches.
        chooser: names the embedder that suits the first texts of a collection; ``None``: it is the default one.
        quotas: count what callers use; ``None`` limits nothing.
        check_source: opens a source of this name and these options; raises ``InvalidSource`` where it cannot.
    """

    settings: Settings
    embedders: Embedders
    reranker: Reranker | None
    store: VectorStore
    catalog: Catalog
    collections: CollectionLookup
    search: TwoStageSearch
    files: FileParser
    names: NameIndexes
    wake: Callable[[], None] = lambda: None
    watch: Watch | None = None
    chooser: Callable[[Sequence[str]], str] | None = None
    text_reranker: Reranker | None = None
    quotas: Quotas | None = None
    check_source: Callable[[str, Mapping[str, Any]], object] = lambda *_: None

    @property
    def embedder(self) -> Embedder:
        """The default one."""
        return self.embedders.current

    @cached_property
    def facets(self) -> FacetCounter:
        """Counts documents by the values of their fields."""
        return FacetCounter(self.store)

    @cached_property
    def popular_queries(self) -> PopularQueries:
        """What several visitors searched for."""
        return PopularQueries(self.catalog.analytics)


OpenResources: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[Resources]]


@dataclass(frozen=True, slots=True)
class Adapters:
    """Functions that open parts from settings. They belong to a module, so that other processes get them by name.

    Attributes:
        open_catalog: opens the configured catalog.
        open_store: opens the configured vector store.
        load_embedder: loads the embedder of ``settings.embedding``; blocks for seconds.
        load_further: as ``load_embedder``; one that is bundled is loaded when it is first needed.
    """

    open_catalog: Callable[[Settings], Awaitable[Catalog]]
    open_store: Callable[[Settings], VectorStore]
    load_embedder: Callable[[Settings], Embedder]
    load_further: Callable[[Settings], Embedder]
