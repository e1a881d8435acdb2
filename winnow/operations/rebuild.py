"""Lost indexes: found by comparing catalog and store, made again empty, and filled from the catalog.

An index is derived: every text is in the catalog. One that is missing or cannot be opened is set aside, and its
documents are written again by the ordinary workers, at the same number and with the same models. For the serving index
the loss is recorded in the catalog first, and searches are refused until every document is there again, so that none
answers from a part. The index beside it is filled by the re-embedding that it belongs to, and searches go on.

Each step may be repeated by any process: together they end in the same place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winnow.core.access import sees_all_tenants
from winnow.core.errors import IndexLost, IndexRebuilding
from winnow.core.principal import Principal
from winnow.core.rebuild import RebuildProgress
from winnow.core.types import Collection, Index
from winnow.operations.resources import Resources
from winnow.ports import Catalog, VectorStore
from winnow.search.lookup import SECONDS as LOOKUP_SECONDS

QUEUED_AT_ONCE: Final = 10_000  # documents of a rebuild that wait: more would fill the backlog that admits uploads
PAGE: Final = 1000
RETRY_SECONDS: Final = 5.0  # Retry-After of a refused search, at least
LONGEST_RETRY: Final = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LostIndex:
    """An index of a collection that is missing or cannot be opened, and why."""

    collection: Collection
    index: Index
    reason: str

    @property
    def described(self) -> str:
        """The index and the reason in a line."""
        role = "the index" if self.index.state == "serving" else "the second index"
        return f"{role} of collection {self.collection.name!r} (generation {self.index.generation}): {self.reason}"


async def find_lost(store: VectorStore, collections: Sequence[Collection]) -> list[LostIndex]:
    """The lost indexes of these collections."""
    owners = {index.ref: (collection, index) for collection in collections for index in collection.indexes}
    lost = await store.lost(list(owners))
    return [LostIndex(*owners[ref], reason) for ref, reason in lost.items()]


async def make_again(resources: Resources, lost: Sequence[LostIndex]) -> Collection:
    """Replace lost indexes of one collection by empty ones and queue its documents; returns the collection.

    Raises:
        CollectionNotFound: the collection was deleted meanwhile.
        StorageFull: there is no room for an index.
        WinnowError: store or catalog failed; the next call goes on from there.
    """
    catalog, store, collection = resources.catalog, resources.store, lost[0].collection
    for each in lost:
        log.error("%s; it is made again and filled from the catalog", each.described)
    if any(each.index.state == "serving" for each in lost):
        collection = await _record(resources, collection)
    await make_second(catalog, store, collection)
    for each in await find_lost(store, [collection]):
        await _replace(store, each)
    await fill(catalog, collection.name)
    resources.wake()
    return collection


async def make_second(catalog: Catalog, store: VectorStore, collection: Collection) -> None:
    """Make the index beside the serving one if it is missing; every document is then written to it, from the first."""
    index = collection.beside
    if index is None:
        return
    lost = await store.lost([index.ref])
    if not lost:
        return
    await catalog.rebuilds.queue_second(collection.name)
    await _replace(store, LostIndex(collection, index, lost[index.ref]))


async def _replace(store: VectorStore, lost: LostIndex) -> None:
    kept = await store.set_aside(lost.index.ref)
    if kept is not None:
        log.warning("what is left of %s is kept in %s", lost.described, kept)
    await store.create(lost.index.ref, lost.index.schema(lost.collection.fields))


async def _record(resources: Resources, collection: Collection) -> Collection:
    """Record the loss of the serving index, so that it is not searched, in this process and in the others."""
    name, before = collection.name, collection.rebuild
    recorded = await resources.catalog.rebuilds.begin(name, collection.serving.generation)
    if before is not None and recorded.rebuild is not None and recorded.rebuild.queued_to != "":
        recorded = await resources.catalog.rebuilds.restart(name)  # lost once more: some documents were written
    resources.collections.forget(name)
    if not resources.settings.keeps_data:  # searches of other processes may know the collection as it was
        await asyncio.sleep(LOOKUP_SECONDS * 1.2)
    return recorded


async def fill(catalog: Catalog, name: str) -> int:
    """Queue further documents of a rebuild, up to ``QUEUED_AT_ONCE`` that wait; returns the number looked at."""
    looked_at = 0
    while True:
        collection = await catalog.collections.get(name)
        if collection.rebuild is None or collection.rebuild.queued_to is None:
            return looked_at
        job = await catalog.jobs.get(collection.rebuild.job_id)
        if job.pending >= QUEUED_AT_ONCE:
            return looked_at
        looked_at += await catalog.rebuilds.queue(name, limit=PAGE)


async def end_rebuild(resources: Resources, name: str) -> bool:
    """Let the collection be searched again if its index is filled; tells whether it may be."""
    done = await resources.catalog.rebuilds.end(name)
    if done:
        resources.collections.forget(name)
        log.info("the index of collection %r is filled again", name)
    return done


async def require_rebuilt(
    resources: Resources, principal: Principal, name: str, error: IndexLost | IndexRebuilding
) -> None:
    """Return if a search that ended with ``error`` may be tried again.

    Raises:
        CollectionNotFound: the collection does not exist any more.
        IndexRebuilding: its index is not filled yet, with the progress as far as the principal may know it.
    """
    collection = await resources.catalog.collections.get(name)
    if collection.rebuild is not None and await end_rebuild(resources, name):
        return
    if resources.watch is not None:
        resources.watch.wake()
    progress = await resources.catalog.rebuilds.progress(name)
    if progress is None and isinstance(error, IndexRebuilding):
        return  # it ended a moment ago
    raise still_filling(collection, progress, shows_counts=sees_all_tenants(principal))


def still_filling(collection: Collection, progress: RebuildProgress | None, *, shows_counts: bool) -> IndexRebuilding:
    """The answer to a search of a collection whose index is lost; ``progress`` is ``None`` before a rebuild begins."""
    lost = f"the index of collection {collection.name!r} was lost and is being filled from the catalog again"
    if progress is None:
        return IndexRebuilding(f"{lost}; no document is lost", retry_after=RETRY_SECONDS)
    share = progress.done / progress.total if progress.total else 0.0
    told = f"{progress.done:,} of {progress.total:,} documents" if shows_counts else f"{share:.0%}"
    return IndexRebuilding(
        f"{lost}: {told} are there; no document is lost",
        share=round(share, 4),
        done=progress.done if shows_counts else None,
        total=progress.total if shows_counts else None,
        retry_after=RETRY_SECONDS if share > 0.5 else min(LONGEST_RETRY, RETRY_SECONDS * 2),
    )
