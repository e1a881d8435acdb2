"""One thread for one model: small work first and joined into batches, bulk work step by step behind it."""

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


class ModelThread(Generic[Item, Answer]):
    """Runs a model on a thread of its own, so that it neither blocks the event loop nor is entered twice.

    Two lanes lead to it. In the fast lane (``ask``) items that wait while the model is busy are answered together. In
    the slow lane (``run``) each step waits until the fast lane is empty. Every entry puts one turn into the executor
    and every turn takes at least one entry, if any is left: so no entry is ever stranded.

    Args:
        answer: answers up to 64 items in one go, in their order.
    """

    def __init__(self, answer: Callable[[Sequence[Item]], Sequence[Answer]]) -> None:
        self._answer = answer
        self._asked: deque[tuple[Item, Future[Answer]]] = deque()
        self._steps: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def ask(self, item: Item) -> Answer:
        """Answer ``item``, together with others that wait. A caller that is cancelled takes nobody else along.

        Raises:
            UpstreamUnavailable: the thread is closed.
        """
        future: Future[Answer] = Future()
        self._asked.append((item, future))
        self._enqueue_turn()
        return await asyncio.wrap_future(future)

    async def run(self, step: Callable[[], Value]) -> Value:
        """Run ``step`` when nobody waits in the fast lane. Keep steps short: a question waits for the current one.

        Raises:
            UpstreamUnavailable: the thread is closed.
        """
        future: Future[Value] = Future()
        self._steps.append((step, future))
        self._enqueue_turn()
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """End the thread after what it is doing now; whoever still waits gets ``UpstreamUnavailable``."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._executor.shutdown)
        self._refuse_all()

    def _enqueue_turn(self) -> None:
        try:
            self._executor.submit(self._take_turn)
        except RuntimeError:  # the executor is shut down
            self._refuse_all()

    def _refuse_all(self) -> None:
        for lane in (self._asked, self._steps):
            while lane:
                _, future = lane.popleft()
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
