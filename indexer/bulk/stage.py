"""The base of each stage: an event loop for its asynchronous clients, and the stores that it opens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Coroutine
from functools import partial
from typing import Any, TypeVar

from indexer.worker.pipeline import Pipeline
from indexer.worker.stages import OUTAGE
from winnow.core.retry import retry
from winnow.core.settings import IndexingSettings, Settings
from winnow.operations.resources import Adapters
from winnow.ports import Catalog
from winnow.search.embedders import Embedders

_Answer = TypeVar("_Answer")


class LoopThread:
    """An event loop on a thread, because Ray calls stages from its own threads. It ends with the process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="stage", daemon=True).start()

    def run(self, work: Awaitable[_Answer]) -> _Answer:
        """Await a coroutine, or a reference of Ray's, on the loop and return the answer; several threads may."""

        async def wait() -> _Answer:
            return await work

        return asyncio.run_coroutine_threadsafe(wait(), self._loop).result()

    def start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run on the loop for as long as the process lives."""
        self._kept = asyncio.run_coroutine_threadsafe(coroutine, self._loop)


async def opened(coordinator: Any, adapters: Adapters) -> tuple[IndexingSettings, Catalog, Pipeline] | None:
    """Open the stores of the coordinator's settings and wait for an embedder; ``None`` if none loads: the job ends.

    Raises:
        WinnowError: the catalog cannot be opened.
    """
    settings: Settings = await coordinator.stores.remote()
    catalog = await retry(partial(adapters.open_catalog, settings), OUTAGE)
    store = adapters.open_store(settings)
    if not await coordinator.ready.remote():
        return None
    embedders = Embedders.among(await coordinator.embedders.remote(), keyword_tokenizer=store.keyword_tokenizer)
    return settings.indexing, catalog, Pipeline(embedders, store, catalog, settings.indexing)
