"""The line of queries: company of one length, order, who leaves, errors, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest

from winnow.core.errors import UpstreamUnavailable
from winnow.models.bundled.encoder import BertEncoder, Encoded
from winnow.models.bundled.query_batcher import JOINED, QueryBatcher


class Encoder:
    """Answers each query with its first id, once the gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.batches: list[list[int]] = []

    async def answer(self, sequences: Sequence[Sequence[int]]) -> Encoded:
        firsts = [sequence[0] for sequence in sequences]
        self.batches.append(firsts)
        await self.gate.wait()
        if -1 in firsts:
            raise ValueError("minus one")
        longest = max(map(len, sequences))
        tokens = np.array(firsts, np.float16)[:, None, None] * np.ones((len(firsts), longest, 3), np.float16)
        return Encoded(np.array(firsts, np.float32)[:, None] * np.ones((len(firsts), 3), np.float32), tokens)


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


def line_of(encoder: Encoder, *, passes: int = 1) -> QueryBatcher:
    return QueryBatcher(cast("BertEncoder", encoder), passes=passes, count=lambda *_: None)


async def first_of(line: QueryBatcher, ids: Sequence[int]) -> int:
    vector, tokens = await line.ask(ids)
    assert tokens.shape == (len(ids), 3), "its own tokens, none of the padding"
    return int(vector[0])


def asking(line: QueryBatcher, *firsts: int, length: int = 4) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(first_of(line, [first] * length)) for first in firsts]


async def started(*tasks: asyncio.Task[int]) -> None:
    """Return when all have asked, and the passes that may begin have begun."""
    while not all(task.get_coro().cr_await for task in tasks):  # type: ignore[union-attr]
        await asyncio.sleep(0)
    for _ in range(3):
        await asyncio.sleep(0)


async def test_an_idle_encoder_answers_at_once(encoder: Encoder) -> None:
    assert await first_of(line_of(encoder), [7, 8]) == 7
    assert encoder.batches == [[7]]


async def test_those_that_wait_are_joined_by_length_oldest_first(encoder: Encoder) -> None:
    line = line_of(encoder)
    encoder.gate.clear()
    tasks = [*asking(line, 1), *asking(line, 2), *asking(line, 3, length=20), *asking(line, 4, 5)]
    await started(*tasks)
    encoder.gate.set()
    assert await asyncio.gather(*tasks) == [1, 2, 3, 4, 5]
    assert JOINED == 2
    assert encoder.batches == [[1], [2, 4], [3], [5]]


async def test_no_more_passes_at_once_than_allowed(encoder: Encoder) -> None:
    line = line_of(encoder, passes=2)
    encoder.gate.clear()
    tasks = asking(line, *range(6))
    await started(*tasks)
    assert encoder.batches == [[0], [1]]
    encoder.gate.set()
    assert await asyncio.gather(*tasks) == list(range(6))


async def test_who_leaves_the_line_is_not_answered_and_disturbs_nobody(encoder: Encoder) -> None:
    line = line_of(encoder)
    encoder.gate.clear()
    busy, left, stays = asking(line, 1, 2, 3)
    await started(busy, left, stays)
    for leaving in (busy, left):
        leaving.cancel()
    await asyncio.gather(busy, left, return_exceptions=True)
    encoder.gate.set()
    assert await stays == 3
    assert encoder.batches == [[1], [3]]


async def test_an_error_reaches_its_own_batch_and_no_other(encoder: Encoder) -> None:
    line = line_of(encoder)
    with pytest.raises(ValueError, match="minus one"):
        await line.ask([-1])
    assert await first_of(line, [2]) == 2


async def test_closing_finishes_what_is_under_way_and_refuses_who_waits(encoder: Encoder) -> None:
    line = line_of(encoder)
    encoder.gate.clear()
    busy, waiting = asking(line, 1, 2)
    await started(busy, waiting)
    closing = asyncio.create_task(line.close())
    with pytest.raises(UpstreamUnavailable, match="closed"):
        await waiting
    encoder.gate.set()
    await closing
    assert await busy == 1
    with pytest.raises(UpstreamUnavailable, match="closed"):
        await line.ask([1])


async def test_many_queries_all_get_their_own_answers(encoder: Encoder) -> None:
    line = line_of(encoder, passes=3)
    lengths = [1 + i % 60 for i in range(500)]
    answers = await asyncio.gather(*(first_of(line, [i] * length) for i, length in enumerate(lengths)))
    assert answers == list(range(500))
