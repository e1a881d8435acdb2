"""One collection of the catalog in memory, with everything in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from winnow.catalog.rules.entries import SETTLING, Entry, kind_of, settle, was_tried
from winnow.catalog.rules.fairness import Queue
from winnow.catalog.rules.job_counters import Tally
from winnow.core.types import Collection, Document
from winnow.ports import ChunkKey, Claim, LedgerEntry, Outcome, StoredDocument


@dataclass
class Shelf:
    """One collection with everything in it."""

    collection: Collection
    entries: dict[str, Entry] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    chunks: dict[str, tuple[ChunkKey, ...]] = field(default_factory=dict)
    removals: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    def visible(self, source: str | None) -> list[Entry]:
        """Entries by id, those of one source or of all, without what is being deleted."""
        entries = [self.entries[document_id] for document_id in sorted(self.entries)]
        return [e for e in entries if e.state != "deleting" and source in {None, e.source}]

    def due(self, now: datetime) -> list[Entry]:
        """Entries whose work may be claimed, next one first."""
        due = [entry for entry in self.entries.values() if entry.due_at is not None and entry.due_at <= now]
        return sorted(due, key=lambda entry: (-entry.priority, entry.submitted_at, entry.id))

    def stored(self, entry: Entry) -> StoredDocument:
        """The document of an entry, as it is read back."""
        return StoredDocument(
            document=replace(self.documents[entry.id], version=entry.version),
            revision=entry.revision,
            state=entry.state,
            content_hash=entry.content_hash,
            chunks=entry.n_chunks,
            error=entry.error,
            error_code=entry.error_code,
            source=entry.source,
            updated_at=entry.updated_at,
        )

    def audited(self, entry: Entry) -> LedgerEntry:
        """The entry as integrity checks see it."""
        chunks = () if entry.indexed_revision is None else self.chunks[entry.id]
        return LedgerEntry(
            id=entry.id,
            state=entry.state,
            revision=entry.revision,
            indexed_revision=entry.indexed_revision,
            points=tuple(chunk.point_id for chunk in chunks),
            n_chunks=entry.n_chunks,
            token=entry.token,
            waits=entry.due_at is not None,
            built=entry.built,
        )

    def lease(self, entry: Entry, owner: str, until: datetime) -> Claim:
        """Hand an entry to a worker."""
        leased = replace(entry, token=entry.token + 1, attempts=entry.attempts + 1, due_at=until, lease_owner=owner)
        self.entries[entry.id] = leased
        return Claim(
            collection=self.collection.name,
            kind=kind_of(entry.state),
            document=self.stored(entry).document,
            revision=entry.revision,
            token=leased.token,
            previous=() if entry.indexed_revision is None else self.chunks[entry.id],
            attempts=entry.attempts,
            tried=was_tried(entry.attempts, entry.submitted_at, entry.updated_at),
        )

    def settle(self, outcome: Outcome, tally: Tally, now: datetime) -> bool:
        """Record an outcome; false where it has been overtaken."""
        document_id = outcome.claim.document.id
        entry = self.entries.get(document_id)
        settlement = settle(entry, outcome, now, newer=self.collection.newer_generation)
        if entry is None or settlement is None:
            return False
        if settlement.recorded:
            tally.settle(entry.job_id, outcome, settlement)
        if settlement.entry is None:
            del self.entries[document_id], self.documents[document_id]
            last = max(entry.revision, self.removals.get(document_id, (0, now))[0])
            self.removals[document_id] = last, now + SETTLING
            return True
        self.entries[document_id] = settlement.entry
        if settlement.ending == "indexed":
            self.chunks[document_id] = outcome.chunks
        return settlement.recorded


def waiting_queues(shelves: Mapping[str, Shelf], now: datetime, *, passing: int) -> list[Queue]:
    """As ``ledger.queues``: the heads of collections with work, ``passing`` levels of priority passed over."""
    found = _heads(shelves, now, below=None)
    for _ in range(passing):
        lower = _heads(shelves, now, below=max((queue.priority for queue in found), default=0))
        if not lower:
            break
        found = lower
    return found


def _heads(shelves: Mapping[str, Shelf], now: datetime, *, below: int | None) -> list[Queue]:
    heads: list[Queue] = []
    for uid, shelf in shelves.items():
        due = [entry for entry in shelf.due(now) if below is None or entry.priority < below]
        heads += [Queue(uid, entry.priority, entry.submitted_at) for entry in due[:1]]
    return heads
