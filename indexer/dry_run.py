"""Compares sources with a collection: what a run would add, change and delete, without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from indexer.ingest import Destination
from indexer.reading import Inventory, read_batches
from indexer.sources.base import Failure, Source
from winnow.core.documents import hash_content


@dataclass(frozen=True, slots=True)
class DryRun:
    """Ids of documents that would be added, changed and deleted, and items that cannot be read."""

    collection: str
    new: tuple[str, ...]
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    unchanged: int
    failures: tuple[Failure, ...]


async def compare_sources(
    destination: Destination | None, collection: str, sources: Sequence[Source], *, delete_missing: bool = False
) -> DryRun:
    """Compare ``sources`` with the collection at ``destination``; ``None`` if it does not exist yet."""
    known = {key.id: key async for key in destination.keys(collection)} if destination is not None else {}
    found = Inventory()
    hashes: dict[str, str] = {}
    for source in sources:
        async for documents, failures in read_batches(source):
            found.add_unreadable(source, failures)
            found.origins |= dict.fromkeys((document.id for document in documents), source.label)
            hashes |= {document.id: hash_content(document) for document in documents}
    missing: list[str] = []
    for source in sources if delete_missing else ():
        lacking = [id_ for id_, key in known.items() if key.source == source.label and found.lacks(id_)]
        missing += found.missing_from(source, lacking)
    fresh = {id_ for id_, digest in hashes.items() if id_ not in known or known[id_].content_hash != digest}
    return DryRun(
        collection=collection,
        new=tuple(sorted(fresh - known.keys())),
        changed=tuple(sorted(fresh & known.keys())),
        missing=tuple(sorted(missing)),
        unchanged=len(hashes) - len(fresh),
        failures=tuple(found.failures),
    )
