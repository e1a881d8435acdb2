"""A thread for one model: queries first, joined into batches; bulk work step by step after them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Generic, TypeVar

from winnow.core.errors import UpstreamUnavailable

MAX_JOINED: Final = 64

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Value = TypeVar("Value")


class PriorityThread(Generic[Item, Answer]):
    """Runs a model on a thread of its own, so that it neither blocks the event loop nor is entered twice.

    It has two queues. Items of ``ask`` that wait while the model is busy are answered together. A step of ``run`` waits
    until no item does. Every entry submits one turn to the executor and every turn takes at least one entry, if any is
    left, so that no entry is left behind.

    Args:
        answer: answers up to 64 items in one go, in their order.
    """

    def __init__(self, answer: Callable[[Sequence[Item]], Sequence[Answer]]) -> None:
        self._answer = answer
        self._asked: deque[tuple[Item, Future[Answer]]] = deque()
        self._steps: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def ask(self, item: Item) -> Answer:
        """Answer ``item``, together with others that wait. Cancelling one caller does not affect the others.

        Raises:
            UpstreamUnavailable: the thread is closed.
        """
        return await self._enqueue(self._asked, item)

    async def run(self, step: Callable[[], Value]) -> Value:
        """Run ``step`` when no item of ``ask`` waits. Keep steps short: an item waits for the current one.

        Raises:
            UpstreamUnavailable: the thread is closed.
        """
        value: Value = await self._enqueue(self._steps, step)
        return value

    async def close(self) -> None:
        """End the thread after what it is doing now; calls that still wait fail with ``UpstreamUnavailable``."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._executor.shutdown)
        self._refuse_all()

    async def _enqueue(self, queue: deque[tuple[Any, Future[Value]]], entry: Any) -> Value:
        future: Future[Value] = Future()
        queue.append((entry, future))
        try:
            self._executor.submit(self._take_turn)
        except RuntimeError:  # the executor is shut down
            self._refuse_all()
        return await asyncio.wrap_future(future)

    def _refuse_all(self) -> None:
        for queue in (self._asked, self._steps):
            while queue:
                _, future = queue.popleft()
                if future.set_running_or_notify_cancel():
                    future.set_exception(UpstreamUnavailable("the model is closed"))

    def _take_turn(self) -> None:
        if self._asked:
            self._answer_waiting()
        elif self._steps:
            step, future = self._steps.popleft()
            if future.set_running_or_notify_cancel():
                _settle([future], lambda: [step()])

    def _answer_waiting(self) -> None:
        items: list[Item] = []
        futures: list[Future[Answer]] = []
        while self._asked and len(items) < MAX_JOINED:
            item, future = self._asked.popleft()
            if future.set_running_or_notify_cancel():
                items.append(item)
                futures.append(future)
        if items:
            _settle(futures, lambda: self._answer(items))


def _settle(futures: Sequence[Future[Value]], work: Callable[[], Sequence[Value]]) -> None:
    """Hand each of the futures its part of what ``work`` gives, or all of them its error."""
    try:
        values = work()
    except Exception as error:  # noqa: BLE001 - every error is the caller's to see
        for future in futures:
            future.set_exception(error)
        return
    for future, value in zip(futures, values, strict=True):
        future.set_result(value)
