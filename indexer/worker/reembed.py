"""Keeping the queue of a re-embedding filled: a bounded number of documents at a time, whenever a worker is idle."""

from __future__ import annotations

from winnow.operations.collections import schema_of
from winnow.ports import Catalog, VectorStore, other_index_of

PAGE = 1000  # documents queued at once, so that they do not crowd the backlog which uploads are measured by


async def queue_more(catalog: Catalog, store: VectorStore) -> int:
    """Queue documents that their collection's second index lacks; returns how many.

    Asked again and again it finds all of them, also those whose batch began before the second index was there, and
    after a crash at any point.
    """
    queued = 0
    for collection in await catalog.collections.list():
        index = other_index_of(collection)
        if index is None or collection.other is None:
            continue
        await store.create(index, schema_of(collection, collection.other.identity))
        queued += await catalog.queue.enqueue_reembed(collection.name, limit=PAGE)
    return queued
