"""Writes that are put off a little, so that many of them make one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from winnow.core.errors import WinnowError

log = logging.getLogger(__name__)


class DelayedWrite:
    """Carries out a write some seconds after it was first asked for, and when it is closed.

    Args:
        write: writes what has been collected; what it cannot write it keeps for the next time.
        seconds: between the first request and the write.
        name: of the task, and in the log.
    """

    def __init__(self, write: Callable[[], Awaitable[None]], *, seconds: float, name: str) -> None:
        self._write = write
        self._seconds = seconds
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._asked = False
        self._closing = asyncio.Event()

    def ask(self) -> None:
        """Have the write carried out; a request while another waits adds nothing."""
        self._asked = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=self._name)

    async def close(self) -> None:
        """Carry out at once what was asked for."""
        self._closing.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while self._asked:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._seconds)
            self._asked = False
            try:
                await self._write()
            except WinnowError as error:
                log.warning("%s: cannot be written: %s", self._name, error.message)
                self._asked = not self._closing.is_set()  # then it is tried again
