"""Second stage of the plan: make missing vectors, on processes that hold a model each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from indexer.bulk.coordinator import KnownEmbedder
from indexer.bulk.options import HELD_BATCHES, embeddings_of
from indexer.bulk.stage import LoopThread
from indexer.bulk.work import Work, packed, unpacked
from indexer.worker.batches import filled
from indexer.worker.stages import OUTAGE
from winnow.core.errors import WinnowError
from winnow.core.retry import retry
from winnow.core.settings import Settings
from winnow.core.types import Index
from winnow.operations.resources import Adapters
from winnow.ports import Embedder
from winnow.search.embedders import Embedders

log = logging.getLogger(__name__)


class Embedding:
    """Holds the configured embedders. Waits out an outage.

    A batch that was tried before is embedded alone, so that no other batch is blamed if it kills the process.

    Args:
        coordinator: handle of the actor ``Coordinator``.
        adapters: load the models of the coordinator's settings.
    """

    def __init__(self, coordinator: Any, adapters: Adapters) -> None:
        self._coordinator = coordinator
        self._loop = LoopThread()
        self._door = asyncio.Lock()
        self._places = asyncio.Semaphore(HELD_BATCHES)
        settings: Settings = self._loop.run(coordinator.models.remote())
        self._embedders: tuple[Embedder, ...] = ()
        try:
            first, *others = _models(settings)
            self._embedders = (adapters.load_embedder(first), *map(adapters.load_further, others))
        except WinnowError as error:
            # the job then ends with this error, unless other processes have loaded embedders
            if not self._loop.run(coordinator.refuse.remote(error)):
                raise
        else:
            known = [KnownEmbedder.of(embedder) for embedder in self._embedders]
            self._loop.run(coordinator.introduce.remote(known))

    def __call__(self, table: Any) -> Any:
        """Fill in the missing vectors of a table of work. A batch that fails is split: one row per document."""
        works = [work for work in unpacked(table) if work is not None]
        return packed([done for work in works for done in self._loop.run(self._embed(work))])

    async def _embed(self, work: Work) -> list[Work]:
        if not work.lacks_vectors:
            return [work]
        tried = any(claim.attempts > 0 for claim in work.batch.claims)
        async with self._place(HELD_BATCHES if tried else 1):
            if not await self._coordinator.begin.remote(work.number):
                return [replace(work, lost=True)]  # Ray has sent it once more: the ledger counts how often it kills
            return await self._carefully(work)

    @asynccontextmanager
    async def _place(self, places: int) -> AsyncIterator[None]:
        """Wait for this number of the process's places: with all of them a batch is alone."""
        async with self._door:  # one caller at a time, so that no two wait for each other
            for _ in range(places):
                await self._places.acquire()
        try:
            yield
        finally:
            for _ in range(places):
                self._places.release()

    def _embedder(self, index: Index) -> Embedder:
        # the stage that made the slice has compared the keyword tokenizer with the store's
        return Embedders.among(self._embedders, keyword_tokenizer=index.identity.keyword_tokenizer).of(index)

    async def _carefully(self, work: Work) -> list[Work]:
        try:
            slices = [await retry(partial(filled, part, self._embedder(part.index)), OUTAGE) for part in work.slices]
        except Exception as error:  # a defect that one document sets off must not take its batch with it
            claims = work.batch.claims
            if len(claims) > 1 and not getattr(error, "retryable", False):
                return [done for claim in claims for done in await self._carefully(work.only({claim.document.id}))]
            if not isinstance(error, WinnowError):
                log.exception("embedding %s failed", claims[0].document.id)
                error = RuntimeError(str(error) or type(error).__name__)  # the original may not be picklable
            return [work.failing(error)]
        return [Work(work.number, work.batch, tuple(slices))]


def _models(settings: Settings) -> Iterator[Settings]:
    """Settings for each embedder, in the order in which a process opens them."""
    yield from map(settings.with_encoder, embeddings_of(settings))
