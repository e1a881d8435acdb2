"""A pool of embedders on Ray, for storage that one process alone may write.

The ordinary worker claims from the ledger, cuts, writes and commits in the command's own process; each actor holds one
embedder. Nothing that must survive lives in Ray: an actor that dies takes at most the batches in its hands with it, a
driver that dies leaves leases that run out, and the next run goes on from the ledger.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from indexer.bulk.options import IN_HAND, PATIENCE_SECONDS, RayOptions, connected, for_models
from winnow.core.errors import InvalidSettings, UpstreamUnavailable
from winnow.core.settings import Settings
from winnow.ports import Embedder, EmbedderInfo, Embeddings, EmbedKind, Tokenizer

log = logging.getLogger(__name__)


class EmbedActor:
    """What runs in an actor's process: the configured embedder."""

    def __init__(self) -> None:
        self._embedder: Embedder | None = None

    async def load(self, settings: Settings, load: Callable[[Settings], Embedder]) -> None:
        """Build the embedder.

        Settings come by this call, which goes straight to the actor: what an actor is constructed with is kept by the
        cluster's head node, and settings hold API keys.
        """
        self._embedder = await asyncio.to_thread(load, settings)

    async def describe(self) -> tuple[EmbedderInfo, Tokenizer]:
        """What was loaded; the tokenizer goes to the driver, which cuts."""
        assert self._embedder is not None, "load comes first"
        return self._embedder.info, self._embedder.tokenizer

    async def embed(self, texts: Sequence[str], kind: EmbedKind, instruct: str | None) -> Embeddings:
        assert self._embedder is not None, "load comes first"
        return await self._embedder.embed(texts, kind, instruct=instruct)


class _Seat:
    """A place in the pool: the actor that sits there now, and how many batches it holds."""

    def __init__(self, actor: Any, ready: Any) -> None:
        self.actor = actor
        self.ready = ready  # reference to the end of `load`
        self.busy = 0


class RayEmbedder(Embedder):
    """The configured embedder, as a pool of actors. Batches go to the actor that holds the fewest.

    Blocks until the first actor has loaded its model: construct it on a thread.

    Raises:
        InvalidSettings: Ray is not installed or not reachable, or the configured embedder cannot be loaded.
    """

    def __init__(self, settings: Settings, options: RayOptions, load: Callable[[Settings], Embedder]) -> None:
        self._ray = connected(options)
        self._settings = for_models(settings)
        self._load = load
        self._remote: Any = self._ray.remote(num_cpus=1, num_gpus=options.gpus, max_concurrency=IN_HAND)(EmbedActor)
        try:
            self._seats = [self._seat() for _ in range(options.actors)]
            self._info, self._tokenizer = self._first_answer(options)
        except BaseException:
            self._ray.shutdown()
            raise

    @property
    def info(self) -> EmbedderInfo:
        return self._info

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        """Embed on one actor; if its process dies, once more on another.

        Raises:
            RuntimeError: that one died too: a text seems to be the cause, and is found by embedding them one by one.
        """
        for _ in range(2):
            try:
                return await self._on_some_actor(texts, kind, instruct)
            except self._ray.exceptions.RayActorError as error:
                log.warning("an embedding process died (%s); another takes its place", type(error).__name__)
        raise RuntimeError("the process that embedded this document died twice")

    async def close(self) -> None:
        """End the actors, and Ray itself where it was started for them."""
        await asyncio.to_thread(self._ray.shutdown)

    async def _on_some_actor(self, texts: Sequence[str], kind: EmbedKind, instruct: str | None) -> Embeddings:
        seat = min(self._seats, key=lambda item: item.busy)
        seat.busy += 1
        try:
            await seat.ready
            result: Embeddings = await seat.actor.embed.remote(list(texts), kind, instruct)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None  # its own text is the traceback of the other process
        except self._ray.exceptions.RayActorError:
            if seat in self._seats:  # of several batches that it held, the first to hear of it replaces it
                self._seats[self._seats.index(seat)] = self._seat()
            raise
        except self._ray.exceptions.RayError as error:
            raise UpstreamUnavailable(f"Ray could not embed a batch: {type(error).__name__}") from error
        else:
            return result
        finally:
            seat.busy -= 1

    def _seat(self) -> _Seat:
        actor = self._remote.remote()
        return _Seat(actor, actor.load.remote(self._settings, self._load))

    def _first_answer(self, options: RayOptions) -> tuple[EmbedderInfo, Tokenizer]:
        seats = {seat.ready: seat for seat in self._seats}
        while not (done := self._ray.wait(list(seats), num_returns=1, timeout=PATIENCE_SECONDS)[0]):
            log.warning("no actor is ready yet; each asks the cluster for 1 CPU and %g GPUs", options.gpus)
        try:
            self._ray.get(done[0])
            answer: tuple[EmbedderInfo, Tokenizer] = self._ray.get(seats[done[0]].actor.describe.remote())
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.RayError as error:
            raise InvalidSettings(f"no embedder starts on Ray: {type(error).__name__}") from error
        return answer
