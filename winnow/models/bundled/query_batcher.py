"""Batches queries for the bundled encoder: queries of one padded length that wait share a forward pass."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from winnow.core.errors import UpstreamUnavailable
from winnow.core.types import FloatArray, HalfArray
from winnow.models.bundled.encoder import BertEncoder, Encoded, padded_length

JOINED: Final = 2  # queries of one padded length in a pass: more gain nothing
_LOOKED_THROUGH: Final = 64  # waiting queries that are searched for one of the same length


@dataclass(frozen=True, slots=True)
class _Query:
    """A query that waits. Its answer has shapes (dimensions,) and (tokens, dimensions)."""

    ids: Sequence[int]
    answer: asyncio.Future[tuple[FloatArray, HalfArray]]

    @property
    def length(self) -> int:
        return padded_length(len(self.ids))


class QueryBatcher:
    """Belongs to one event loop; the encoder runs the passes outside Python.

    Args:
        encoder: answers batches.
        passes: the most that run at once.
        count: told of each pass: the number of its queries, and their padded length.
    """

    def __init__(self, encoder: BertEncoder, *, passes: int, count: Callable[[int, int], None]) -> None:
        self._encoder = encoder
        self._limit = passes
        self._count = count
        self._waiting: deque[_Query] = deque()
        self._passes: set[asyncio.Task[None]] = set()
        self._closed = False

    async def ask(self, ids: Sequence[int]) -> tuple[FloatArray, HalfArray]:
        """Text vector and token vectors of a query, as parts of its batch. Cancelling one call does not affect others.

        Raises:
            UpstreamUnavailable: the batcher is closed.
        """
        if self._closed:
            raise UpstreamUnavailable("the model is closed")
        loop = asyncio.get_running_loop()
        query = _Query(ids, loop.create_future())
        self._waiting.append(query)
        self._start()
        return await query.answer

    async def close(self) -> None:
        """Finish the running passes; queries that still wait fail with ``UpstreamUnavailable``."""
        self._closed = True
        while self._waiting:
            _fail([self._waiting.popleft()], UpstreamUnavailable("the model is closed"))
        if self._passes:
            await asyncio.wait(self._passes)

    def _start(self) -> None:
        while len(self._passes) < self._limit and (batch := self._take()):
            running = asyncio.get_running_loop().create_task(self._pass(batch))
            self._passes.add(running)
            running.add_done_callback(self._end)

    def _end(self, ended: asyncio.Task[None]) -> None:
        self._passes.discard(ended)
        self._start()

    def _take(self) -> list[_Query]:
        """Take the query that has waited longest, and others of its length."""
        while self._waiting:
            first = self._waiting.popleft()
            if first.answer.done():
                continue  # its caller was cancelled
            near = islice(self._waiting, _LOOKED_THROUGH)
            company = [each for each in near if each.length == first.length and not each.answer.done()][: JOINED - 1]
            for each in company:
                self._waiting.remove(each)
            return [first, *company]
        return []

    async def _pass(self, batch: Sequence[_Query]) -> None:
        self._count(len(batch), batch[0].length)
        try:
            encoded = await self._encoder.answer([each.ids for each in batch])
        except Exception as error:  # noqa: BLE001 - every error is the callers' to see
            _fail(batch, error)
        else:
            _answer(batch, encoded)


def _answer(batch: Sequence[_Query], encoded: Encoded) -> None:
    for each, vector, tokens in zip(batch, encoded.texts, encoded.tokens, strict=True):
        if not each.answer.done():
            each.answer.set_result((vector, tokens[: len(each.ids)]))


def _fail(batch: Sequence[_Query], error: Exception) -> None:
    for each in batch:
        if not each.answer.done():
            each.answer.set_exception(error)
