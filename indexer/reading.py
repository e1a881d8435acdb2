"""Reads sources in batches, notes which documents they hold, and compares those with a collection."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from winnow.core.documents import hash_content
from winnow.core.marks import DocumentWarning
from winnow.core.tenancy import plain_id, tenant_of
from winnow.core.types import Document
from winnow.ports import DocumentKey
from winnow.ports.source import Failure, Notice, Source

BATCH_DOCUMENTS: Final = 256
BATCH_CHARS: Final = 4_000_000
BATCH_SECONDS: Final = 1.0


class Batch(NamedTuple):
    """Some items of a source."""

    documents: list[Document]
    failures: list[Failure]
    notices: list[Notice]


async def read_batches(source: Source, tenant: str = "") -> AsyncIterator[Batch]:
    """Read a source some hundred documents at a time, or what comes within a second.

    A document that a source yields again, as it has learned more of it, takes the place of the one before. Documents
    that name ``tenant`` have plain ids, as those that name none: both are the same documents where they are sent.
    """
    batch = Batch([], [], [])
    places: dict[str, int] = {}
    count, chars, until = 0, 0, 0.0
    async with aclosing(source.read()) as items:
        async for found in items:
            item = _named_within(tenant, found)
            if not count:
                until = time.monotonic() + BATCH_SECONDS
            count += 1
            match item:
                case Failure():
                    batch.failures.append(item)
                case Notice():
                    batch.notices.append(item)
                case Document():
                    place = places.setdefault(item.id, len(batch.documents))
                    batch.documents[place : place + 1] = [item]
                    chars += len(item.text)
            if count >= BATCH_DOCUMENTS or chars >= BATCH_CHARS or time.monotonic() > until:
                yield batch
                batch, places, count, chars = Batch([], [], []), {}, 0, 0
    if count:
        yield batch


def _named_within(tenant: str, item: Document | Failure | Notice) -> Document | Failure | Notice:
    match item:
        case Document() if tenant and tenant_of(item.id) == tenant:
            return replace(item, id=plain_id(item.id))
        case Failure() if tenant and tenant_of(item.document_id) == tenant:
            return replace(item, document_id=plain_id(item.document_id))
        case _:
            return item


@dataclass
class Inventory:
    """The documents and failures that a run has found in its sources.

    Attributes:
        origins: by document id, the label of the source that it was first found in.
        failures: in the order in which they occurred.
        notices: what was left out on purpose.
        warned: documents that were read with losses: id, code and message of each loss.
    """

    origins: dict[str, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    warned: list[tuple[str, DocumentWarning]] = field(default_factory=list)
    _unreadable: set[str] = field(default_factory=set)
    _incomplete: set[str] = field(default_factory=set)  # labels of sources with a failure that names no document

    def note(self, source: Source, batch: Batch) -> None:
        """Record what a batch of a source says besides its documents: failures, notices, losses."""
        self.failures += batch.failures
        self.notices += batch.notices
        self.warned += [(document.id, warning) for document in batch.documents for warning in document.warnings]
        self._unreadable |= {failure.document_id for failure in batch.failures}
        if "" in self._unreadable:
            self._unreadable.remove("")
            self._incomplete.add(source.label)

    def lacks(self, document_id: str) -> bool:
        """Whether a document was neither found nor named by a failure."""
        return document_id not in self.origins and document_id not in self._unreadable

    def missing_from(self, source: Source, lacking: Sequence[str]) -> Sequence[str]:
        """Of documents that an earlier run found in ``source`` and that this run lacks, those to delete.

        None of them if the source shows a part of its documents only, with a notice, or if parts of it that could not
        be read may hold them, with a failure.
        """
        if lacking and not source.is_complete:
            message = f"{len(lacking):,} documents that the source no longer shows are kept: it lists its newest only"
            self.notices.append(Notice(source.label, "kept_older", message, len(lacking)))
            return ()
        if not lacking or source.label not in self._incomplete:
            return lacking
        message = f"{len(lacking):,} documents were not found; they are kept, as unreadable parts may contain them"
        self.failures.append(Failure(source.label, "kept_missing", message))
        return ()


@dataclass(frozen=True, slots=True)
class DryRun:
    """Ids of documents that would be added, changed and deleted, and items that cannot be read."""

    collection: str
    new: tuple[str, ...]
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    unchanged: int
    failures: tuple[Failure, ...]
    notices: tuple[Notice, ...] = ()


async def compare_sources(
    known: Mapping[str, DocumentKey],
    collection: str,
    sources: Sequence[Source],
    *,
    delete_missing: bool = False,
    tenant: str = "",
) -> DryRun:
    """Compare ``sources`` with the documents of a collection's tenant, ``known`` by plain id."""
    found = Inventory()
    hashes: dict[str, str] = {}
    for source in sources:
        async for batch in read_batches(source, tenant):
            found.note(source, batch)
            found.origins |= dict.fromkeys((document.id for document in batch.documents), source.label)
            hashes |= {document.id: hash_content(document) for document in batch.documents}
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
        notices=tuple(found.notices),
    )
