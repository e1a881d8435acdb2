"""Opening the catalog, store and pipeline of the stages that read and write."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from indexer.worker.pipeline import Pipeline
from indexer.worker.stages import OUTAGE
from winnow.core.retry import retry
from winnow.core.settings import IndexingSettings, Settings
from winnow.operations.resources import Adapters
from winnow.ports import Catalog
from winnow.search.embedders import Embedders


class Opened(NamedTuple):
    """The open parts of a stage."""

    indexing: IndexingSettings
    catalog: Catalog
    pipeline: Pipeline


async def opened(coordinator: Any, adapters: Adapters) -> Opened | None:
    """Open the stores of the coordinator's settings and wait for an embedder; ``None`` if none loads: the job ends.

    Raises:
        WinnowError: the catalog cannot be opened.
    """
    settings: Settings = await coordinator.stores.remote()
    catalog = await retry(partial(adapters.open_catalog, settings), OUTAGE)
    store = adapters.open_store(settings)
    if not await coordinator.ready.remote():
        return None
    embedders = Embedders(*await coordinator.embedders.remote(), keyword_tokenizer=store.keyword_tokenizer)
    pipeline = Pipeline.configured(settings, embedders, store, catalog)
    return Opened(settings.indexing, catalog, pipeline)
