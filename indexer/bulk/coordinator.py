"""The coordinator of a bulk job: the one actor that its other processes ask and tell.

What they need to know, among it keys, reaches them by calls between processes alone: what an actor is constructed with
is kept by the cluster's head node.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from indexer.bulk.known import KnownEmbedder
from indexer.worker.claims import wait_for
from winnow.core.settings import Settings

FORGOTTEN_SECONDS: Final = 3600.0  # a batch that is under way for longer was lost by Ray with one of its machines


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch under way: where it comes from, and since when."""

    source: int
    since: float


class Coordinator:
    """Knows the settings, the embedders, the batches under way, and whether more is to be claimed.

    Args:
        limit: batches to have under way at once; one claim may go beyond it.
        clock: seconds that only grow.
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
        """Hand over the settings: of those who read and write, and of those who embed."""
        self._stores, self._models = stores, models

    async def stores(self) -> Settings:
        assert self._stores is not None, "equip comes first"
        return self._stores

    async def models(self) -> Settings:
        assert self._models is not None, "equip comes first"
        return self._models

    async def introduce(self, embedders: Sequence[KnownEmbedder]) -> None:
        """Tell what embedders there are: the configured one, and the next one if there is one."""
        self._embedders = tuple(embedders)
        self._answered.set()

    async def refuse(self, error: Exception) -> bool:
        """Tell why there are no embedders. False where there are some all the same."""
        if not self._embedders:
            self._refusal = error
            self._answered.set()
        return not self._embedders

    async def ready(self) -> bool:
        """Whether there are embedders, as soon as that is known."""
        await self._answered.wait()
        return bool(self._embedders)

    async def embedders(self) -> Sequence[KnownEmbedder]:
        """The embedders, as soon as a process has loaded them. Raises why there are none."""
        if not await self.ready() and self._refusal is not None:
            raise self._refusal
        return self._embedders

    async def admit(self) -> bool:
        """Wait until there is room for another batch; false where no more are to be claimed."""
        while not self._ended and len(self._under_way) >= self._limit:
            self._forget()
            self._room.clear()
            await wait_for(self._room, FORGOTTEN_SECONDS / 60)
        return not self._ended

    async def open_source(self, source: int) -> int:
        """A source begins; returns how many batches it has sent on before, in a process that died.

        Those are not under way any more, since nobody renews their leases; what comes through in time is written.
        """
        self._under_way = {number: batch for number, batch in self._under_way.items() if batch.source != source}
        self._room.set()
        return self._entered[source]

    async def enter(self, number: str, source: int) -> None:
        """A batch of a source is under way."""
        self._under_way[number] = _Batch(source, self._clock())
        self._entered[source] += 1

    async def begin(self, number: str) -> bool:
        """An embedder takes a batch in hand; false where an earlier one did, and died with it."""
        first = number not in self._begun
        self._begun.add(number)
        return first

    async def leave(self, number: str) -> None:
        """A batch is done, or left to its lease."""
        self._under_way.pop(number, None)
        self._begun.discard(number)
        self._room.set()

    async def clear(self) -> None:
        """Forget everything about the plan, which has ended: what came to no end was given back."""
        self._under_way.clear()
        self._entered.clear()
        self._begun.clear()
        self._room.set()

    async def under_way(self) -> frozenset[str]:
        """The batches whose leases are to be renewed."""
        self._forget()
        return frozenset(self._under_way)

    async def rest(self, seconds: float) -> None:
        """Wait until there is news, at most so long."""
        if not self._ended:
            await wait_for(self._news, seconds)
            self._news.clear()

    async def wake(self) -> None:
        """Work was handed in."""
        self._news.set()

    async def end(self) -> None:
        """No more is to be claimed; what is under way is finished."""
        self._ended = True
        self._news.set()
        self._room.set()

    def _forget(self) -> None:
        oldest = self._clock() - FORGOTTEN_SECONDS
        self._under_way = {number: batch for number, batch in self._under_way.items() if batch.since > oldest}
