"""An event loop for a stage: Ray calls stages from its threads, and their clients are asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")


class LoopThread:
    """A loop on a thread, which ends with the process."""

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
