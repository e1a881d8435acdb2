"""Micro-batching: what is asked for while calls are under way waits for one of them to end, and shares the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

from winnow.core.errors import UpstreamRejected, UpstreamUnavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_WEIGHT: Final = 0.2  # of the newest call in the mean latency


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Item, Answer]):
    """An item that waits for a call, and its caller."""

    item: Item
    answer: asyncio.Future[Answer]


class MicroBatcher(Generic[Item, Answer]):
    """Belongs to one event loop.

    An item that finds fewer than ``at_once`` calls under way goes at once and alone. Others wait until one of the calls
    ends, but no longer than a call takes on average; then all that are ``alike`` go together. One that the model
    refuses does not take others along: a refused joint call is repeated item by item.

    Args:
        call: the answers to items that are alike, in their order.
        at_once: calls under way at which others begin to wait.
        most: items in a call.
        alike: items go into one call if this is equal.

    Attributes:
        latency: mean seconds of a call.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        at_once: Callable[[], int],
        most: Callable[[], int],
        alike: Callable[[Item], Hashable],
    ) -> None:
        self._call = call
        self._at_once = at_once
        self._most = most
        self._alike = alike
        self._under_way = 0
        self.latency = 0.0
        self._waiting: deque[_Waiting[Item, Answer]] = deque()
        self._joint: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, item: Item) -> Answer:
        """The answer to one item. A caller that leaves does not affect the others of its call."""
        if self._under_way < self._at_once():
            return (await self._timed([item]))[0]
        loop = asyncio.get_running_loop()
        waiting: _Waiting[Item, Answer] = _Waiting(item, loop.create_future())
        self._waiting.append(waiting)
        if self._timer is None:
            self._timer = loop.call_later(self.latency, self._start)
        return await waiting.answer

    async def close(self) -> None:
        """Fail those who wait as ``UpstreamUnavailable``, and wait for the joint calls, which the client has ended."""
        _fail(self._waiting, UpstreamUnavailable("the model is closed"))
        self._start()
        await asyncio.gather(*self._joint, return_exceptions=True)

    async def _timed(self, items: Sequence[Item]) -> Sequence[Answer]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._under_way += 1
        try:
            answers = await self._call(items)
            took = loop.time() - began
            self.latency += _WEIGHT * (took - self.latency) if self.latency else took
            return answers
        finally:
            self._under_way -= 1
            self._start()

    def _start(self) -> None:
        """Send all that wait, in as few calls as may be."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while members := self._take():
            task = asyncio.get_running_loop().create_task(self._answer(members))
            self._joint.add(task)
            task.add_done_callback(self._joint.discard)
            for each in members:
                each.answer.add_done_callback(partial(_end_unwanted, task, members))

    def _take(self) -> list[_Waiting[Item, Answer]]:
        """Take the item that has waited longest, and others that are alike."""
        there = [each for each in self._waiting if not each.answer.done()]
        alike = [each for each in there if self._alike(each.item) == self._alike(there[0].item)][: self._most()]
        self._waiting = deque(each for each in there if each not in alike)
        return alike

    async def _answer(self, members: Sequence[_Waiting[Item, Answer]]) -> None:
        try:
            answers = await self._timed([each.item for each in members])
        except UpstreamRejected as error:
            if len(members) == 1:
                _fail(members, error)
            else:
                await asyncio.gather(*(self._answer([each]) for each in members))
        except Exception as error:  # noqa: BLE001 - every error is the callers' to see
            _fail(members, error)
        else:
            for each, answer in zip(members, answers, strict=True):
                if not each.answer.done():
                    each.answer.set_result(answer)


def _end_unwanted(task: asyncio.Task[None], members: Sequence[_Waiting[Any, Any]], _: asyncio.Future[Any]) -> None:
    """End a call that all its callers have left."""
    if all(each.answer.cancelled() for each in members):
        task.cancel()


def _fail(members: Iterable[_Waiting[Item, Answer]], error: Exception) -> None:
    for each in members:
        if not each.answer.done():
            each.answer.set_exception(error)
