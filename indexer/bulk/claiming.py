"""First stage of the plan: claim from the ledger, cut, and look up vectors that are there already."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Final

from indexer.bulk.loop import LoopThread
from indexer.bulk.options import BATCHES_A_CLAIM
from indexer.bulk.stores import opened
from indexer.bulk.work import Work, packed, slim, unpacked
from indexer.worker.batches import SLICE_CHUNKS, Batch
from indexer.worker.isolation import isolate
from indexer.worker.lease import Lease
from indexer.worker.renewal import renewing
from winnow.core.errors import WinnowError
from winnow.core.ids import new_id
from winnow.operations.resources import Adapters
from winnow.ports import Claim, Outcome

log = logging.getLogger(__name__)

MAX_PAUSE_SECONDS: Final = 30.0


class Claiming:
    """A source of work: yields until the desk says that no more is to be claimed.

    Nothing is claimed before an embedder has loaded its model. From the claim on the leases are renewed from here, for
    as long as the desk knows the batch under way: nobody can tell how long a batch waits in Ray's queues. Where this
    process dies the leases run out, and if the batch comes through in time it is written all the same.

    Args:
        desk: handle of the actor ``Desk``.
        owner: in whose name the job claims.
        adapters: open what the desk's settings name.
    """

    def __init__(self, desk: Any, owner: str, adapters: Adapters) -> None:
        self._desk = desk
        self._owner = owner
        self._loop = LoopThread()
        self._held: dict[str, Sequence[Claim]] = {}
        parts = self._loop.run(opened(desk, adapters))
        self._refused = parts is None
        if parts is not None:
            self._indexing, self._catalog, self._pipeline = parts
            self._pause = self._indexing.poll_seconds
            self._loop.start(self._keep())

    def __call__(self, table: Any) -> Iterator[Any]:
        """Yield tables with one batch of work each. ``table`` holds the number of this source.

        Should its process die Ray runs it again, and of what it yields then passes over as many as it has taken before:
        so it begins with as many that hold nothing.
        """
        [source] = unpacked(table)
        for _ in range(self._loop.run(self._begun(source))):
            yield packed([None])
        while not self._refused and self._loop.run(self._admitted()):
            for work in self._loop.run(self._find(source)):
                yield packed([work])

    async def _begun(self, source: int) -> int:
        before: int = await self._desk.open_source.remote(source)
        return before

    async def _admitted(self) -> bool:
        admitted: bool = await self._desk.admit.remote()
        return admitted

    async def _find(self, source: int) -> Sequence[Work]:
        """What the next claim gives. Where there is nothing to claim, or storage is down, that takes a while."""
        try:
            found, down = await self._claim(source)
        except WinnowError as error:
            found, down = None, error.message
        if down is not None:
            log.warning("claiming pauses for %.0f s: %s", self._pause, down)
            await self._desk.rest.remote(self._pause)
            self._pause = min(self._pause * 2, MAX_PAUSE_SECONDS)
            return found or ()
        self._pause = self._indexing.poll_seconds
        if found is None:
            await self._desk.rest.remote(self._pause)
        return found or ()

    async def _claim(self, source: int) -> tuple[Sequence[Work] | None, str | None]:
        """Claim a batch and make work of it, ``None`` if there is none; with the reason where storage is down."""
        indexing = self._indexing
        lease = Lease(indexing.lease_seconds)
        claims = await self._catalog.queue.claim(
            self._owner, limit=BATCHES_A_CLAIM * indexing.batch_documents, lease_seconds=indexing.lease_seconds
        )
        if not claims:
            return () if await self._pipeline.queue_more() > 0 else None, None
        parts = isolate(claims, max_attempts=indexing.max_attempts)
        works: list[Work] = []
        outcomes: list[Outcome] = []
        async with renewing(self._catalog.queue, self._owner, claims, lease, indexing.lease_seconds):
            if parts.settled:
                await self._catalog.queue.commit(parts.settled)
            for part in parts.runs:
                outcomes += await self._pipeline.settle(part, partial(self._prepare, works), lease)
            for work in works:
                await self._desk.enter.remote(work.number, source)
                self._held[work.number] = [slim(claim) for claim in work.batch.claims]
        return works, next((outcome.error for outcome in outcomes if outcome.waited), None)

    async def _prepare(self, works: list[Work], claims: Sequence[Claim], _: Lease | None) -> list[Outcome]:
        """Add the work that claims make; there is no outcome yet."""
        whole = await self._pipeline.prepare(claims)
        found = []
        for ids in _portions(whole):
            batch = whole.only(ids)
            slices = [await self._pipeline.look_up(batch.collection, part) for part in batch.slices()]
            found.append(Work(new_id("batch"), batch, tuple(slices)))
        works += found
        return []

    async def _keep(self) -> None:
        """Renew the leases of what is under way, for as long as this process lives."""
        while True:
            await asyncio.sleep(self._indexing.lease_seconds / 3)
            try:
                await self._renew()
            except WinnowError as error:
                log.warning("leases not renewed: %s", error.message)

    async def _renew(self) -> None:
        known = await self._desk.under_way.remote()
        self._held = {number: claims for number, claims in self._held.items() if number in known}
        claims = [claim for some in self._held.values() for claim in some]
        if claims:
            await self._catalog.queue.renew(self._owner, claims, lease_seconds=self._indexing.lease_seconds)


def _portions(batch: Batch) -> list[set[str]]:
    """The documents of a batch, in portions of so many chunks that their vectors fit into a message."""
    others = (*batch.removals, *(claim for claim, _ in batch.cut.failures))
    portions = [{claim.document.id for claim in others}]
    chunks = 0
    for document_id, pieces in groupby(batch.cut.pieces, lambda piece: piece.claim.document.id):
        count = len(list(pieces))
        if chunks and chunks + count > SLICE_CHUNKS:
            portions.append(set())
            chunks = 0
        portions[-1].add(document_id)
        chunks += count
    return [portion for portion in portions if portion]
