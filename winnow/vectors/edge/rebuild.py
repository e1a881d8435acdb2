"""Rebuilding an index from a copy, in a process of its own, while searches go on.

The engine builds graphs, and frees the space of deleted points, only when it is asked to, and does nothing else
meanwhile: some seconds for ten thousand points, a minute for 50,000.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from winnow.core.errors import IndexLost, StorageFailure, WinnowError
from winnow.core.import_path import python_path
from winnow.ports import IndexRef
from winnow.vectors.edge.layout import Layout, shard_of
from winnow.vectors.edge.shard import optimize_shard

AGAIN_SECONDS: Final = 600.0  # after a failure

_LENIENT: Final = 10  # added to the process's niceness: searches go first
_PROGRAM: Final = "from winnow.vectors.edge.rebuild import main; main()"

log = logging.getLogger(__name__)


async def optimized_copy(root: Path, index: IndexRef) -> Path:
    """The directory of an optimised copy of a flushed index, to which nothing may be written until this returns.

    Raises:
        StorageFailure: there is no space for it, or the engine failed; nothing is left of it.
    """
    process = _start(root, index)
    ending = asyncio.create_task(asyncio.to_thread(process.communicate))
    try:
        copy, told = await asyncio.shield(ending)
    except asyncio.CancelledError:
        process.kill()
        await ending
        raise
    if process.returncode:
        raise StorageFailure(told.strip().rpartition("\n")[2] or f"it ended with status {process.returncode}")
    return Path(copy)


def _start(root: Path, index: IndexRef) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-P", "-c", _PROGRAM, str(root), index.collection, str(index.generation)],
        env={**os.environ, "PYTHONPATH": python_path()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the process that ends it
    )


def main() -> None:
    """Copy an index and optimise the copy; print its directory."""
    root, collection, generation = sys.argv[1:]
    os.nice(_LENIENT)
    layout = Layout(Path(root))
    copy = layout.copy(IndexRef(collection, int(generation)))
    try:
        optimize_shard(shard_of(copy))
    except BaseException:
        layout.discard(copy)
        raise
    sys.stdout.write(str(copy))


class Clearing:
    """Rebuilds indexes that hold more dead points than others, one at a time, in the background."""

    def __init__(self, optimize: Callable[[IndexRef], Awaitable[bool]]) -> None:
        """Use ``optimize``, which rebuilds an index and returns whether it is littered still."""
        self._optimize = optimize
        self._task: asyncio.Task[None] | None = None
        self._not_before: dict[IndexRef, float] = {}  # after a failure, by the monotonic clock

    def begin(self, index: IndexRef) -> None:
        """Start with an index, unless another one is rebuilt just now: whoever asks asks again with its next flush."""
        if self._task is not None and not self._task.done():
            return
        if time.monotonic() >= self._not_before.get(index, 0.0):
            self._task = asyncio.create_task(self._clear(index))

    async def _clear(self, index: IndexRef) -> None:
        began = time.monotonic()
        try:
            if await self._optimize(index):
                raise StorageFailure("the engine kept them")
        except IndexLost:
            pass
        except WinnowError as error:
            self._not_before[index] = time.monotonic() + AGAIN_SECONDS
            reason = error.message
            log.warning("the vectors of %s keep the space of deleted points for now: %s", index.collection, reason)
        else:
            seconds = time.monotonic() - began
            log.info("the vectors of %s were rebuilt without deleted points in %.1f s", index.collection, seconds)

    async def close(self) -> None:
        """End what is running; the index stays as it was."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
