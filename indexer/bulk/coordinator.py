"""The coordinator of a bulk job, which its other processes talk to, and the embedders that they describe to it.

Settings, which hold keys, are passed by calls between processes only, because the cluster's head node keeps the
arguments with which an actor is constructed.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from indexer.worker.claims import wait_for
from winnow.core.errors import UpstreamUnavailable
from winnow.core.settings import Settings
from winnow.ports import Embedder, EmbedderInfo, EmbedKind, Tokenizer, earlier_of

FORGOTTEN_SECONDS: Final = 3600.0  # a batch that takes longer was lost by Ray with one of its machines


@dataclass(frozen=True, slots=True, eq=False)
class KnownEmbedder:
    """Describes an embedder, for chunking documents and creating collections; it embeds nothing itself."""

    info: EmbedderInfo
    tokenizer: Tokenizer
    earlier: KnownEmbedder | None = None

    @classmethod
    def of(cls, embedder: Embedder) -> KnownEmbedder:
        """The description of an embedder, which can be sent to another process."""
        earlier = earlier_of(embedder)
        return cls(embedder.info, embedder.tokenizer, None if earlier is None else cls.of(earlier))

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> NoReturn:
        """Refuse: only processes of Ray embed.

        Raises:
            UpstreamUnavailable: always.
        """
        raise UpstreamUnavailable(
            f"{len(texts)} texts ({kind}, instruct {instruct!r}) cannot be embedded here: a bulk job embeds on Ray only"
        )

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch under way: its source, and the time at which it entered."""

    source: int
    since: float


class Coordinator:
    """Knows the settings, the embedders, the batches under way, and whether to claim more.

    Args:
        limit: batches under way at once; one claim may exceed it.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, limit: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._stores: Settings | None = None
        self._models: Settings | None = None
        self._embedders: tuple[KnownEmbedder, ...] = ()
        self._refusal: Exception | None = None
        self._answered = asyncio.Event()
        self._under_way: dict[str, _Batch] = {}
        self._entered: Counter[int] = Counter()
        self._begun: set[str] = set()
        self._room = asyncio.Event()
        self._news = asyncio.Event()
        self._ended = False

    async def equip(self, stores: Settings, models: Settings) -> None:
        """Store the settings of the stages that read and write, and of the stage that embeds."""
        self._stores, self._models = stores, models

    async def stores(self) -> Settings:
        assert self._stores is not None, "equip comes first"
        return self._stores

    async def models(self) -> Settings:
        assert self._models is not None, "equip comes first"
        return self._models

    async def introduce(self, embedders: Sequence[KnownEmbedder]) -> None:
        """Register the embedders, in the order of ``embeddings_of``."""
        self._embedders = tuple(embedders)
        self._answered.set()

    async def refuse(self, error: Exception) -> bool:
        """Register why no embedder loads; false if another process has loaded one."""
        if not self._embedders:
            self._refusal = error
            self._answered.set()
        return not self._embedders

    async def ready(self) -> bool:
        """Tell whether there are embedders, as soon as that is known."""
        await self._answered.wait()
        return bool(self._embedders)

    async def embedders(self) -> Sequence[KnownEmbedder]:
        """The embedders, as soon as a process has loaded them. Raises the error if none loads."""
        if not await self.ready() and self._refusal is not None:
            raise self._refusal
        return self._embedders

    async def admit(self) -> bool:
        """Wait until there is room for another batch; false if no more may be claimed."""
        while not self._ended and len(self._under_way) >= self._limit:
            self._forget()
            self._room.clear()
            await wait_for(self._room, FORGOTTEN_SECONDS / 60)
        return not self._ended

    async def open_source(self, source: int) -> int:
        """Register the start of a source; returns the number of batches that it sent before, in a process that died.

        Those are no longer under way, because their leases are not renewed; one that comes through in time is written.
        """
        self._under_way = {number: batch for number, batch in self._under_way.items() if batch.source != source}
        self._room.set()
        return self._entered[source]

    async def enter(self, number: str, source: int) -> None:
        """Register a batch of a source as under way."""
        self._under_way[number] = _Batch(source, self._clock())
        self._entered[source] += 1

    async def begin(self, number: str) -> bool:
        """Register that an embedder starts a batch; false if an earlier one did, and died."""
        first = number not in self._begun
        self._begun.add(number)
        return first

    async def leave(self, number: str) -> None:
        """Remove a batch that is done, or whose lease will run out."""
        self._under_way.pop(number, None)
        self._begun.discard(number)
        self._room.set()

    async def clear(self) -> None:
        """Forget the batches of a plan that has ended; unfinished ones were released."""
        self._under_way.clear()
        self._entered.clear()
        self._begun.clear()
        self._room.set()

    async def under_way(self) -> frozenset[str]:
        """The batches whose leases must be renewed."""
        self._forget()
        return frozenset(self._under_way)

    async def rest(self, seconds: float) -> None:
        """Wait until work arrives, at most this long."""
        if not self._ended:
            await wait_for(self._news, seconds)
            self._news.clear()

    async def wake(self) -> None:
        """Say that work has arrived."""
        self._news.set()

    async def end(self) -> None:
        """Claim no more; batches under way are finished."""
        self._ended = True
        self._news.set()
        self._room.set()

    def _forget(self) -> None:
        oldest = self._clock() - FORGOTTEN_SECONDS
        self._under_way = {number: batch for number, batch in self._under_way.items() if batch.since > oldest}
