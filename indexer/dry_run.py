"""What a run would do, without doing it: compare sources with what a collection holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from indexer.ingest import Target, kept_missing, read_batches
from indexer.sources.base import Failure, Source
from winnow.core.documents import hash_content


@dataclass(frozen=True, slots=True)
class Plan:
    """Ids of what would be added, changed and deleted, and what cannot be read."""

    collection: str
    new: tuple[str, ...]
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    unchanged: int
    failures: tuple[Failure, ...]


async def plan(
    target: Target | None, collection: str, sources: Sequence[Source], *, delete_missing: bool = False
) -> Plan:
    """Compare ``sources`` with the collection behind ``target``; ``None`` stands for one that does not exist yet."""
    known = {key.id: key async for key in target.keys(collection)} if target is not None else {}
    seen: dict[str, str] = {}
    failures: list[Failure] = []
    unclear: set[str] = set()
    for source in sources:
        async for documents, failed in read_batches(source):
            failures.extend(failed)
            if not all(failure.document_id for failure in failed):
                unclear.add(source.label)
            seen |= {document.id: hash_content(document) for document in documents}
    labels = {source.label for source in sources}
    unreadable = {failure.document_id for failure in failures}
    gone = [id_ for id_, key in known.items() if key.source in labels and id_ not in seen and id_ not in unreadable]
    for source in sources if delete_missing else ():
        kept = {id_ for id_ in gone if known[id_].source == source.label and source.label in unclear}
        gone = [id_ for id_ in gone if id_ not in kept]
        failures += [kept_missing(source, len(kept))] if kept else []
    fresh = {id_: digest for id_, digest in seen.items() if id_ not in known or known[id_].content_hash != digest}
    return Plan(
        collection=collection,
        new=tuple(sorted(id_ for id_ in fresh if id_ not in known)),
        changed=tuple(sorted(id_ for id_ in fresh if id_ in known)),
        missing=tuple(sorted(gone)) if delete_missing else (),
        unchanged=len(seen) - len(fresh),
        failures=tuple(failures),
    )
