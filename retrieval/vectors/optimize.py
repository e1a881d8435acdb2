"""Building the search graphs of a grown index, in a process of its own.

The engine holds the interpreter's lock for as long as it optimises (a minute for 50,000 points): inside a serving
process every request would stall. A child that was spawned, not forked, works on a closed copy.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.process import BaseProcess
from pathlib import Path

import qdrant_edge as edge


class Optimizer:
    """Runs one optimisation at a time and can be told to give up."""

    def __init__(self) -> None:
        self._child: BaseProcess | None = None
        self._stopped = False

    def run(self, shard: Path) -> bool:
        """Optimise the shard that lies in ``shard``, which nobody has open. False where that did not succeed."""
        if self._stopped:
            return False
        self._child = multiprocessing.get_context("spawn").Process(target=_optimize, args=(str(shard),), daemon=True)
        self._child.start()
        self._child.join()
        return self._child.exitcode == 0

    def stop(self) -> None:
        """End the child if one runs, and start no other: for a process that closes."""
        self._stopped = True
        if self._child is not None:
            self._child.terminate()


def _optimize(path: str) -> None:
    shard = edge.EdgeShard.load(path)
    shard.optimize()
    shard.flush()
    shard.close()
