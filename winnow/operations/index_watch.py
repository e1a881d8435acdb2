"""The watch over indexes: catalog and store are compared as a process starts, and every few seconds after."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Final

from winnow.core.errors import WinnowError
from winnow.core.principal import LOCAL
from winnow.core.types import Collection, Counts
from winnow.operations.rebuild import LostIndex, end_rebuild, fill, find_lost, make_again
from winnow.operations.resources import Resources
from winnow.operations.verify import inspect_collection

LOOK_SECONDS: Final = 5.0
COUNT_SECONDS: Final = 900.0  # between two comparisons of the numbers of points
MANY: Final = 1000  # chunks from which half of the points missing is a loss, also while documents are being written

log = logging.getLogger(__name__)


class IndexWatch:
    """Compares catalog and store, has lost indexes made again, and tells what is wrong.

    Args:
        resources: the open parts of the process.
        heals: whether lost indexes are made again, or only reported.
    """

    def __init__(self, resources: Resources, *, heals: bool) -> None:
        self._resources = resources
        self._heals = heals
        self._awake = asyncio.Event()
        self._looking = asyncio.Lock()
        self._looked_at: float | None = None
        self._count_due = 0.0
        self.findings: Mapping[str, str] = {}

    @property
    def age(self) -> float:
        """Seconds since the last look; 0 before the first."""
        return 0.0 if self._looked_at is None else time.monotonic() - self._looked_at

    def wake(self) -> None:
        """Look again soon: an index turned out to be lost."""
        self._awake.set()

    async def run(self) -> None:
        """Look until cancelled; while store or catalog do not answer, the last findings stay."""
        while True:
            self._awake.clear()
            try:
                await self.look()
            except WinnowError as error:
                log.warning("catalog and store are compared later: %s", error.message)
            except Exception:  # a defect here must not end the process
                log.exception("the comparison of catalog and store failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._awake.wait(), LOOK_SECONDS)

    async def look(self) -> Mapping[str, str]:
        """Compare once and heal; returns the findings by collection.

        Raises:
            WinnowError: store or catalog do not answer.
        """
        async with self._looking:
            collections = await self._resources.catalog.collections.list()
            found: dict[str, str] = {}
            lost = await find_lost(self._resources.store, collections)
            for name, mine in groupby(lost, key=lambda each: each.collection.name):
                if finding := await self._heal(list(mine)):
                    found[name] = finding
            for collection in collections:
                if collection.name not in found and (finding := await self._look_at(collection)):
                    found[collection.name] = finding
            if time.monotonic() >= self._count_due:
                self._count_due = time.monotonic() + COUNT_SECONDS
                found |= await self._count([each for each in collections if each.name not in found])
            self.findings, self._looked_at = found, time.monotonic()
            return found

    async def _heal(self, lost: Sequence[LostIndex]) -> str | None:
        seen = "; ".join(each.described for each in lost)
        if not self._heals:
            return f"{seen}; `winnow serve` and `winnow verify --repair` fill it from the catalog again"
        try:
            await make_again(self._resources, lost)
        except WinnowError as error:
            log.warning("%s cannot be made again yet: %s", seen, error.message)
            return f"{seen}; it cannot be made again yet: {error.message}"
        serves = any(each.index.state == "serving" for each in lost)
        return f"{seen}; it is being filled from the catalog again" if serves else None

    async def _look_at(self, collection: Collection) -> str | None:
        """Go on with a rebuild; the finding that tells its progress."""
        if collection.rebuild is None:
            return None
        if self._heals:
            await fill(self._resources.catalog, collection.name)
            if await end_rebuild(self._resources, collection.name):
                return None
        progress = await self._resources.catalog.rebuilds.progress(collection.name)
        if progress is None:
            return None
        done = f"{progress.done:,} of {progress.total:,} documents"
        return f"the index of collection {collection.name!r} was lost and is being filled again: {done}"

    async def _count(self, collections: Sequence[Collection]) -> dict[str, str]:
        """Findings about indexes that hold fewer points than the catalog names."""
        found: dict[str, str] = {}
        for collection in collections:
            counts = await self._resources.catalog.documents.counts(collection.name)
            points = await self._resources.store.count(collection.serving.ref)
            if not lacks_points(points, counts):
                continue
            reason = f"it holds {points:,} of {counts.chunks:,} points"
            lost = LostIndex(collection, collection.serving, reason)
            if points * 2 < counts.chunks:
                found[collection.name] = await self._heal([lost]) or reason
            else:
                found[collection.name] = f"{lost.described}; `winnow verify --repair` writes them again"
                if self._heals:
                    await self._repair(collection.name)
        return found

    async def _repair(self, name: str) -> None:
        resources = self._resources
        log.warning("collection %r lacks points: it is verified and repaired", name)
        async for _ in inspect_collection(resources.catalog, resources.store, LOCAL, name, repair=True):
            pass
        resources.wake()


def lacks_points(points: int, counts: Counts) -> bool:
    """Whether an index holds fewer points than the chunks that the catalog counts, beyond what is being written."""
    at_rest = not counts.pending and not counts.deleting
    return points < counts.chunks and (at_rest or (counts.chunks >= MANY and points * 2 < counts.chunks))
