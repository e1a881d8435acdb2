"""Indexes that no collection of the catalog owns: found, and removed on request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from winnow.core.errors import IdentityMismatch, UpstreamRejected
from winnow.core.principal import Principal
from winnow.operations.audit import audited
from winnow.ports import Catalog, IndexRef, VectorStore

SETTLING_SECONDS: Final = 3.0  # an index is made shortly before its collection is recorded


async def unowned_indexes(catalog: Catalog, store: VectorStore) -> list[IndexRef]:
    """The indexes in the store that no collection of the catalog refers to."""
    found = await store.indexes()  # first: a collection is recorded after its index is made
    kept = [*await catalog.collections.list(), *await catalog.collections.list(deleting=True)]
    owned = {index.ref for collection in kept for index in collection.indexes}
    return [ref for ref in found if ref not in owned]


async def prune_indexes(
    catalog: Catalog, store: VectorStore, principal: Principal, refs: Sequence[IndexRef]
) -> list[IndexRef]:
    """Delete those of ``refs`` that no collection owns still; returns them. What is not Winnow's stays.

    Raises:
        WinnowError: catalog or store failed; the rest stays.
    """
    principal.require("operate")
    await asyncio.sleep(SETTLING_SECONDS)
    unowned = set(await unowned_indexes(catalog, store))
    deleted: list[IndexRef] = []
    async with audited(catalog.trail, principal, "index.prune") as details:
        for ref in refs:
            if ref not in unowned or not await _is_ours(store, ref):
                continue
            await store.drop(ref)
            deleted.append(ref)
        details["indexes"] = [f"{ref.collection} (generation {ref.generation})" for ref in deleted]
    return deleted


async def _is_ours(store: VectorStore, ref: IndexRef) -> bool:
    """Whether the index carries a schema that Winnow wrote."""
    try:
        await store.flush(ref)
    except (IdentityMismatch, UpstreamRejected):
        return False
    return True
