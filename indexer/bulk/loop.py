"""An event loop for a stage: Ray calls stages from its threads, and their clients are asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")


class LoopThread:
    """A loop on a thread, which ends with the process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="stage", daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, _Answer]) -> _Answer:
        """Run on the loop and wait for the answer; several threads may."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run on the loop for as long as the process lives."""
        self._kept = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
