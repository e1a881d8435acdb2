"""First stage of the plan: claim from the queue, chunk, and look up existing vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from indexer.bulk.options import BATCHES_A_CLAIM
from indexer.bulk.stage import LoopThread, opened
from indexer.bulk.work import Work, packed, slim, unpacked
from indexer.worker.batches import SLICE_CHUNKS, ClaimBatch
from indexer.worker.claims import ClaimLoop
from indexer.worker.lease import Lease, keep_renewing
from winnow.core.ids import new_id
from winnow.operations.resources import Adapters
from winnow.ports import Claim, Outcome


class Claiming:
    """A source of work: yields until the coordinator admits no more.

    Nothing is claimed before an embedder has loaded its model. This process then renews the leases for as long
    as the coordinator knows a batch as under way, because the time in queues of Ray is unknown. If this process dies,
    the leases run out; a batch that comes through in time is still written.

    Args:
        coordinator: handle of the actor ``Coordinator``.
        owner: the name under which the job claims.
        adapters: open the stores of the coordinator's settings.
    """

    def __init__(self, coordinator: Any, owner: str, adapters: Adapters) -> None:
        self._coordinator = coordinator
        self._owner = owner
        self._loop = LoopThread()
        self._held: dict[str, Sequence[Claim]] = {}
        self._found: list[Work] = []
        self._source = 0
        parts = self._loop.run(opened(coordinator, adapters))
        self._refused = parts is None
        if parts is not None:
            self._indexing, self._catalog, self._pipeline = parts
            self._claims = ClaimLoop(
                queue=self._catalog.queue,
                owner=owner,
                settings=self._indexing,
                limit=BATCHES_A_CLAIM * self._indexing.batch_documents,
                carry_out=self._carry_out,
                refill=self._pipeline.queue_more,
                pause=self._pause,
            )
            self._loop.start(keep_renewing(self._renew, self._indexing.lease_seconds))

    def __call__(self, table: Any) -> Iterator[Any]:
        """Yield tables with one batch of work each. ``table`` holds the number of this source.

        If the process dies, Ray runs the generator again and skips the number of tables that it has taken before. So
        the generator then begins with that number of empty tables.
        """
        [source] = unpacked(table)
        for _ in range(self._loop.run(self._coordinator.open_source.remote(source))):
            yield packed([None])
        while not self._refused and self._loop.run(self._coordinator.admit.remote()):
            for work in self._loop.run(self._next(source)):
                yield packed([work])

    async def _next(self, source: int) -> Sequence[Work]:
        """Work from the next claim. If there is nothing to claim, or storage is down, that takes a while."""
        self._found.clear()
        self._source = source
        await self._claims.step()
        return tuple(self._found)

    async def _carry_out(self, claims: Sequence[Claim], lease: Lease) -> Sequence[Outcome]:
        """Make work of claims and register it with the coordinator; only what fails has outcomes yet."""
        works: list[Work] = []
        outcomes = await self._pipeline.settle(claims, partial(self._prepare, works), lease)
        for work in works:
            await self._coordinator.enter.remote(work.number, self._source)
            self._held[work.number] = [slim(claim) for claim in work.batch.claims]
            self._found.append(work)
        return outcomes

    async def _pause(self, seconds: float, *, down: bool) -> None:  # noqa: ARG002 - new work ends either pause
        await self._coordinator.rest.remote(seconds)

    async def _prepare(self, works: list[Work], claims: Sequence[Claim], _: Lease | None) -> list[Outcome]:
        """Chunk claims and add the work; outcomes follow in later stages."""
        whole = await self._pipeline.prepare(claims)
        found = []
        for ids in _portions(whole):
            batch = whole.only(ids)
            slices = [await self._pipeline.look_up(part) for part in batch.slices()]
            found.append(Work(new_id("batch"), batch, tuple(slices)))
        works += found
        return []

    async def _renew(self) -> None:
        known = await self._coordinator.under_way.remote()
        self._held = {number: claims for number, claims in self._held.items() if number in known}
        claims = [claim for some in self._held.values() for claim in some]
        if claims:
            await self._catalog.queue.renew(self._owner, claims, lease_seconds=self._indexing.lease_seconds)


def _portions(batch: ClaimBatch) -> list[set[str]]:
    """The documents of a batch, in portions whose vectors fit into a message."""
    others = (*batch.removals, *(claim for claim, _ in batch.chunked.failures))
    portions = [{claim.document.id for claim in others}]
    chunks = 0
    for document_id, pieces in groupby(batch.chunked.pieces, lambda piece: piece.claim.document.id):
        count = len(list(pieces))
        if chunks and chunks + count > SLICE_CHUNKS:
            portions.append(set())
            chunks = 0
        portions[-1].add(document_id)
        chunks += count
    return [portion for portion in portions if portion]
