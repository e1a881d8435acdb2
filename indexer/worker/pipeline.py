"""The write path of one batch: chunk, re-use unchanged vectors, embed, upsert, remove stale points, commit.

New points first, stale points after, the ledger last: a crash anywhere means that the lease runs out and the batch
runs again to the same end, because point ids are deterministic. While a collection has two indexes all of it is done to
both before the commit.

Several workers may claim one document in turn, and a stalled one may wake up late. It stops by its own clock
(``Lease``). Whatever it wrote just before is older than the write that overtook it, because revisions of a document
only grow, and no worker removes points of a revision newer than its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Final

from indexer.worker.batches import ClaimBatch, Row, Slice, filled
from indexer.worker.lease import Lease, LeaseLost
from indexer.worker.stages import OUTAGE, Vectors, chunk_claims, chunk_keys, failed, point_of
from winnow.core.errors import CollectionNotFound, IdentityMismatch, IndexLost, UpstreamUnavailable, WinnowError
from winnow.core.retry import retry
from winnow.core.settings import IndexingSettings
from winnow.core.tenancy import tenant_of
from winnow.core.types import Index
from winnow.operations.quotas import Quotas, TenantBudget
from winnow.operations.rebuild import fill
from winnow.operations.reembed import queue_more
from winnow.ports import Catalog, Claim, Embedder, Outcome, Point, Removal, VectorStore
from winnow.search.budgeted import budget_of
from winnow.search.embedders import Embedders

log = logging.getLogger(__name__)

UNCONFIGURED_SECONDS: Final = 30.0  # pause where a collection's second embedder is not configured here

LOST_SECONDS: Final = 1.0  # pause until a lost index is there again

CarryOut = Callable[[Sequence[Claim], Lease | None], Awaitable[list[Outcome]]]


class Pipeline:
    """Turns claims into points. Holds no state between batches.

    ``run`` carries out a whole batch. ``prepare``, ``look_up``, ``write`` and ``finish`` are its steps, for callers
    that embed elsewhere in between; ``settle`` surrounds them.

    Attributes:
        on_lost: called when an index turns out to be lost; may be exchanged.
    """

    def __init__(
        self,
        embedders: Embedders,
        store: VectorStore,
        catalog: Catalog,
        settings: IndexingSettings,
        *,
        quotas: Quotas | None = None,
    ) -> None:
        self._quotas = quotas if quotas is not None and quotas.counts_tenants_tokens else None
        self._embedders = embedders
        self._store = store
        self._catalog = catalog
        self._max_attempts = settings.max_attempts
        self.on_lost: Callable[[], None] = lambda: None

    async def run(self, claims: Sequence[Claim], lease: Lease | None = None) -> Sequence[Outcome]:
        """Carry out claims of one collection and record how each ended.

        ``lease`` bounds the time for it; ``None`` if no other worker can have claimed the same. Where the tokens of
        tenants are limited each tenant's documents are carried out apart, and wait while its tokens are spent.
        """
        if self._quotas is None:
            return await self.settle(claims, self._carry_out, lease)
        outcomes: list[Outcome] = []
        for tenant, own in groupby(sorted(claims, key=_tenant), key=_tenant):
            with budget_of(TenantBudget(self._quotas, tenant) if tenant else None):
                outcomes += await self.settle(list(own), self._carry_out, lease)
        return outcomes

    async def settle(
        self, claims: Sequence[Claim], carry_out: CarryOut, lease: Lease | None = None
    ) -> Sequence[Outcome]:
        """Carry out claims of one collection, or a step of that, and record the outcomes.

        After a failure that may lie with one document, the claims are carried out one by one, so that the others pass.
        """
        try:
            outcomes = await carry_out(claims, lease)
        except LeaseLost:
            log.warning("a batch of %d documents took longer than its lease; other workers take it over", len(claims))
            await self._take_back(claims)
            return ()
        except (CollectionNotFound, IndexLost):
            outcomes = await self._without_index(claims)
        except Exception as error:  # a defect that one document sets off must not stop the worker
            if len(claims) > 1 and not getattr(error, "retryable", False):
                return [outcome for claim in claims for outcome in await self.settle([claim], carry_out, lease)]
            if not isinstance(error, WinnowError):
                log.exception("indexing %s failed", claims[0].document.id)
            outcomes = [failed(claim, error, max_attempts=self._max_attempts) for claim in claims]
        if outcomes:
            await self._record(outcomes, lease)
        return outcomes

    async def prepare(self, claims: Sequence[Claim]) -> ClaimBatch:
        """Chunk the documents of claims of one collection, for the indexes that it has now."""
        collection = await self._catalog.collections.get(claims[0].collection)
        additions = [claim for claim in claims if claim.kind != "delete"]
        reader = min(map(self._embedder, collection.indexes), key=lambda embedder: embedder.info.max_tokens)
        limit = reader.info.max_tokens
        parts = await asyncio.to_thread(chunk_claims, collection, additions, reader.tokenizer, max_tokens=limit)
        return ClaimBatch(collection, tuple(claim for claim in claims if claim.kind == "delete"), parts)

    async def look_up(self, part: Slice) -> Slice:
        """Fill in vectors that the index already holds: of unchanged chunks, and those that an earlier try wrote."""
        wanted: dict[int, str] = {}
        for i, row in enumerate(part.rows):
            piece = row.piece
            tried = piece.claim.tried or piece.claim.kind == "reembed"
            known = piece.reuse or (piece.point_id if tried else None)
            if known is not None:
                wanted[i] = known
        if not wanted:
            return part
        found = await self._store.fetch(part.index.ref, sorted(set(wanted.values())))
        rows = list(part.rows)
        for i, id_ in wanted.items():
            if id_ in found and _same_text(found[id_], rows[i]):
                rows[i] = Row(rows[i].piece, Vectors(found[id_].dense, found[id_].tokens))
        return replace(part, rows=tuple(rows))

    async def write(self, part: Slice, lease: Lease | None) -> None:
        """Upsert a slice whose vectors are all there. Raises ``LeaseLost``."""
        if lease is not None:
            lease.require()
        points = [point_of(row.piece, row.vectors) for row in part.rows if row.vectors is not None]
        await self._store.upsert(part.index.ref, points)

    async def finish(
        self, batch: ClaimBatch, embedded: Mapping[str, int], unread: Mapping[str, int], lease: Lease | None
    ) -> list[Outcome]:
        """Remove stale points of a batch that is written; returns its outcomes. Raises ``LeaseLost``.

        ``embedded`` is the number of chunks that got vectors, by document id; ``unread`` of those that the embedder
        does not know.
        """
        below = {claim.document.id: claim.revision + 1 for claim in batch.removals}
        # a first revision has nothing older than itself
        below |= {claim.document.id: claim.revision for claim in batch.chunked.claims if claim.revision > 1}
        await self._remove_below(batch.collection.indexes, below, lease)
        limit = self._max_attempts
        failures = [failed(claim, error, max_attempts=limit) for claim, error in batch.chunked.failures]
        keys = chunk_keys(batch.chunked.pieces)
        done = [
            Outcome(
                claim,
                keys[claim.document.id],
                embedded.get(claim.document.id, 0),
                unread.get(claim.document.id, 0),
                built=batch.collection.newer_generation,
            )
            for claim in batch.chunked.claims
        ]
        return [*failures, *done, *(Outcome(claim) for claim in batch.removals)]

    async def remove(self, removals: Sequence[Removal]) -> None:
        """Remove the points of documents of one collection up to these revisions; newer ones stay."""
        below = {each.document_id: each.revision + 1 for each in removals}
        try:
            collection = await self._catalog.collections.get(removals[0].collection)
        except CollectionNotFound:
            return  # and all of its points with it
        for index in collection.indexes:
            with suppress(IndexLost):  # what takes its place does not have them
                await self._store.delete_documents(index.ref, below)
                await self._store.flush(index.ref)

    async def queue_more(self) -> int:
        """Queue some documents that an index of a collection lacks; returns their number."""
        collections = await self._catalog.collections.list()
        filled = [await fill(self._catalog, each.name) for each in collections if each.rebuild is not None]
        return sum([*filled, *[await queue_more(self._catalog, self._store, each) for each in collections]])

    async def _carry_out(self, claims: Sequence[Claim], lease: Lease | None) -> list[Outcome]:
        batch = await self.prepare(claims)
        embedded: Counter[str] = Counter()
        unread: Counter[str] = Counter()
        for part in batch.slices():
            known = await self.look_up(part)
            whole = await filled(known, self._embedder(part.index))
            _note_step(lease)
            await self.write(whole, lease)
            _note_step(lease)
            embedded += whole.embedded
            unread += whole.unread
        return await self.finish(batch, embedded, unread, lease)

    async def _record(self, outcomes: Sequence[Outcome], lease: Lease | None) -> None:
        # while the lease holds no other worker has written, and the next one removes older points
        alone = lease is not None and lease.holds()
        recorded = await retry(partial(self._catalog.queue.commit, outcomes), OUTAGE)
        _note_step(lease)
        overtaken = [each.claim for each, kept in zip(outcomes, recorded, strict=True) if not kept]
        if overtaken and not alone:
            await self._take_back(overtaken)

    async def _take_back(self, claims: Sequence[Claim]) -> None:
        """Remove points of revisions that other workers have superseded meanwhile."""
        outdated = await retry(partial(self._catalog.queue.outdated, claims), OUTAGE)
        removals = [Removal(each.collection, each.document.id, each.revision) for each in outdated]
        if removals:
            await retry(partial(self.remove, removals), OUTAGE)

    def _embedder(self, index: Index) -> Embedder:
        try:
            return self._embedders.of(index)
        except IdentityMismatch as error:
            if index.state == "serving":
                raise
            # not the documents' fault: the work waits until the second embedder is configured
            raise UpstreamUnavailable(error.message, retry_after=UNCONFIGURED_SECONDS) from error

    async def _remove_below(self, indexes: Sequence[Index], below: dict[str, int], lease: Lease | None) -> None:
        for index in indexes:
            if below:
                if lease is not None:
                    lease.require()
                await self._store.delete_documents(index.ref, below)
            await self._store.flush(index.ref)

    async def _without_index(self, claims: Sequence[Claim]) -> list[Outcome]:
        """Have claims wait until a lost index is made again; if the collection is gone, so are they."""
        try:
            collection = await self._catalog.collections.get(claims[0].collection)
        except CollectionNotFound:
            return []
        lost = await self._store.lost([index.ref for index in collection.indexes])
        if not lost:  # the second index was dropped meanwhile, or the lost one is there again
            return [Outcome(claim, error="an index was dropped meanwhile", retry_in=0.0) for claim in claims]
        self.on_lost()
        reason = f"the index of collection {collection.name!r} is lost ({'; '.join(lost.values())}) and is made again"
        return [
            Outcome(claim, error=reason, error_code=IndexLost.code, retry_in=LOST_SECONDS, waited=True)
            for claim in claims
        ]


def _tenant(claim: Claim) -> str:
    return tenant_of(claim.document.id)


def _note_step(lease: Lease | None) -> None:
    if lease is not None:
        lease.progress.note()


def _same_text(point: Point, row: Row) -> bool:
    """Tell whether a stored point has the same text: the hash may belong to another index's chunk of this id."""
    chunk, document = row.piece.chunk, row.piece.claim.document
    stored = point.chunk
    return (stored.text, stored.headings, point.title) == (chunk.text, chunk.headings, document.title)
