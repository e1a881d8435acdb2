"""Graphs of the bundled encoder for one shape each: which batches of queries get one, and when."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from winnow.models.bundled.encoder import BertEncoder

log = logging.getLogger(__name__)

OFTEN: Final = 12  # batches of one shape after which it gets a graph; a service that starts asks fewer to check itself
LONGEST: Final = {1: 48, 2: 32}  # tokens, by the number of queries in a batch: ten shapes in all


class QueryGraphs:
    """Counts the shapes of batches, and has the graph compiled for one that comes often, on a thread of its own.

    A graph takes 0.2 s and 20 MB, so a shape that comes rarely gets none. Belongs to one event loop.
    """

    def __init__(self, encoder: BertEncoder) -> None:
        self._encoder = encoder
        self._batches: Counter[tuple[int, int]] = Counter()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="graphs")
        self._closed = False

    def count(self, texts: int, length: int) -> None:
        """Note a batch of ``texts`` queries that are padded to ``length`` tokens."""
        self._batches[texts, length] += 1
        if self._batches[texts, length] == OFTEN and length <= LONGEST.get(texts, 0) and not self._closed:
            self._thread.submit(self._prepare, texts, length)

    async def close(self) -> None:
        """Wait for the graph that is being compiled; the others that are due are left out."""
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    def _prepare(self, texts: int, length: int) -> None:
        try:
            self._encoder.prepare(texts, length)
        except RuntimeError:
            log.exception("queries of %d tokens will take longer: no graph of their own can be compiled", length)
