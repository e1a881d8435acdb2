"""The catalog in memory, for tests of what stands above the port: the same rules, no database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from retrieval.catalog.missing import collection_missing, document_missing, job_missing
from retrieval.catalog.planning import Order, Plan, plan_submission, plan_tombstones, sort_out
from retrieval.catalog.rules import Clock, Entry, holds, settle, utc_now
from retrieval.catalog.tallies import ADDED, Tally, make_job
from retrieval.catalog.turns import Queue, Turns
from retrieval.ids import new_id
from retrieval.ports import ChunkKey, Claim, DocumentKey, Job, JobFailure, Outcome, StoredDocument, Submission
from retrieval.types import Collection, Counts, Document, DocumentState


@dataclass
class _Shelf:
    """One collection with everything in it."""

    collection: Collection
    entries: dict[str, Entry] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    chunks: dict[str, tuple[ChunkKey, ...]] = field(default_factory=dict)

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


class FakeCatalog:
    """``Catalog`` in memory. No method gives way to others before it is done, so each is one transaction."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._shelves: dict[str, _Shelf] = {}
        self._jobs: dict[str, dict[str, Any]] = {}
        self._failures: dict[str, list[JobFailure]] = {}
        self._turns = Turns()

    # --- collections

    async def create_collection(self, collection: Collection) -> Collection:
        existing = self._find(collection.name)
        if existing is None:
            stored = replace(collection, status="ready", created_at=collection.created_at or self._clock())
            existing = self._shelves[collection.uid] = _Shelf(stored)
        return existing.collection

    async def get_collection(self, name: str) -> Collection:
        return self._shelf(name).collection

    async def list_collections(self, *, deleting: bool = False) -> Sequence[Collection]:
        status = "deleting" if deleting else "ready"
        found = [shelf.collection for shelf in self._shelves.values() if shelf.collection.status == status]
        return sorted(found, key=lambda collection: (collection.name, collection.uid))

    async def update_collection(self, collection: Collection) -> Collection:
        shelf = self._shelf(collection.name)
        kept = shelf.collection
        shelf.collection = replace(collection, uid=kept.uid, status=kept.status, created_at=kept.created_at)
        return shelf.collection

    async def mark_deleting(self, name: str) -> Collection:
        shelf = self._shelf(name)
        shelf.collection = replace(shelf.collection, status="deleting")
        shelf.entries = {key: replace(entry, due_at=None, lease_owner=None) for key, entry in shelf.entries.items()}
        return shelf.collection

    async def purge_collection(self, uid: str) -> None:
        if uid in self._shelves and self._shelves[uid].collection.status == "deleting":
            del self._shelves[uid]
            self._jobs = {job_id: job for job_id, job in self._jobs.items() if job["collection_uid"] != uid}

    # --- documents

    async def counts(self, name: str) -> Counts:
        entries = list(self._shelf(name).entries.values())
        visible = [entry for entry in entries if entry.state != "deleting"]
        states = [entry.state for entry in entries]
        return Counts(
            documents=len(visible),
            chunks=sum(entry.n_chunks for entry in visible),
            pending=states.count("pending"),
            indexed=states.count("indexed"),
            failed=states.count("failed"),
            deleting=states.count("deleting"),
        )

    async def submit(
        self, collection: str, documents: Sequence[Document], *, source: str = "", priority: int = 0
    ) -> Submission:
        shelf = self._shelf(collection)
        batch = sort_out(documents)
        order = Order(new_id("job"), source, priority, self._clock())
        plan = plan_submission(batch, shelf.entries, order)
        by_id = {item.document.id: item.document for item in batch.incoming}
        shelf.documents.update({entry.id: by_id[entry.id] for entry in (*plan.created, *plan.revised)})
        return self._record(shelf, plan, order)

    async def tombstone(self, collection: str, document_ids: Sequence[str], *, priority: int = 0) -> Submission:
        shelf = self._shelf(collection)
        order = Order(new_id("job"), "", priority, self._clock())
        return self._record(shelf, plan_tombstones(document_ids, shelf.entries, order), order)

    async def get_document(self, collection: str, document_id: str) -> StoredDocument:
        shelf = self._shelf(collection)
        entry = shelf.entries.get(document_id)
        if entry is None or entry.state == "deleting":
            raise document_missing(collection, document_id)
        return shelf.stored(entry)

    async def scan(self, collection: str, *, source: str | None = None) -> AsyncIterator[StoredDocument]:
        shelf = self._shelf(collection)
        for stored in [shelf.stored(entry) for entry in shelf.visible(source)]:
            yield stored

    async def list_documents(
        self,
        collection: str,
        *,
        after: str = "",
        limit: int = 1000,
        source: str | None = None,
        state: DocumentState | None = None,
    ) -> Sequence[DocumentKey]:
        entries = sorted(self._shelf(collection).entries.values(), key=lambda entry: entry.id)
        found = [
            DocumentKey(entry.id, entry.state, entry.content_hash, entry.revision, entry.source)
            for entry in entries
            if entry.id > after
            and source in {None, entry.source}
            and (entry.state != "deleting" if state is None else entry.state == state)
        ]
        return found[:limit]

    # --- work

    async def claim(self, owner: str, *, limit: int, lease_seconds: float) -> Sequence[Claim]:
        now = self._clock()
        due = {uid: shelf.due(now) for uid, shelf in self._shelves.items()}
        queues = [Queue(uid, found[0].priority, found[0].submitted_at) for uid, found in due.items() if found]
        if not queues:
            return ()
        uid = self._turns.order(queues)[0].uid
        self._turns.served(uid)
        until = now + timedelta(seconds=lease_seconds)
        return [self._lease(self._shelves[uid], entry, owner, until) for entry in due[uid][:limit]]

    async def renew(self, owner: str, claims: Sequence[Claim], *, lease_seconds: float) -> int:
        now, renewed = self._clock(), 0
        for claim in claims:
            shelf = self._find(claim.collection)
            entry = shelf.entries.get(claim.document.id) if shelf else None
            if shelf and entry and holds(entry, claim.token, owner, now):
                shelf.entries[entry.id] = replace(entry, due_at=now + timedelta(seconds=lease_seconds))
                renewed += 1
        return renewed

    async def commit(self, outcomes: Sequence[Outcome]) -> Sequence[bool]:
        now, tally = self._clock(), Tally()
        accepted = [self._settle(outcome, tally, now) for outcome in outcomes]
        self._book(tally, now)
        return accepted

    async def release(self, owner: str | None = None) -> int:
        now, released = self._clock(), 0
        for shelf in self._shelves.values():
            for entry in list(shelf.entries.values()):
                leased = entry.lease_owner is not None and owner in {None, entry.lease_owner}
                if leased and entry.due_at is not None and entry.due_at > now:
                    shelf.entries[entry.id] = replace(entry, due_at=now, lease_owner=None)
                    released += 1
        return released

    async def backlog(self) -> int:
        return sum(e.due_at is not None for shelf in self._shelves.values() for e in shelf.entries.values())

    async def get_job(self, job_id: str) -> Job:
        if job_id not in self._jobs:
            raise job_missing(job_id)
        values = self._jobs[job_id]
        failures = sorted(self._failures.get(job_id, []), key=lambda failure: failure.document_id)
        name = self._shelves[values["collection_uid"]].collection.name
        return make_job(values, collection=name, failures=failures)

    async def check(self) -> None:
        """Memory always serves."""

    async def close(self) -> None:
        """Nothing to let go."""

    # --- parts

    def _find(self, name: str) -> _Shelf | None:
        named = (shelf for shelf in self._shelves.values() if shelf.collection.name == name)
        return next((shelf for shelf in named if shelf.collection.status == "ready"), None)

    def _shelf(self, name: str) -> _Shelf:
        shelf = self._find(name)
        if shelf is None:
            raise collection_missing(name)
        return shelf

    def _record(self, shelf: _Shelf, plan: Plan, order: Order) -> Submission:
        submission = plan.submission
        shelf.entries.update({entry.id: entry for entry in (*plan.created, *plan.revised, *plan.touched)})
        self._jobs[order.job_id] = dict.fromkeys(ADDED, 0) | {
            "id": order.job_id,
            "collection_uid": shelf.collection.uid,
            "total": submission.accepted,
            "unchanged": submission.unchanged,
            "created_at": order.now,
            "finished_at": order.now if submission.accepted == submission.unchanged else None,
        }
        tally = Tally()
        tally.supersede(plan.superseded)
        self._book(tally, order.now)
        return submission

    def _lease(self, shelf: _Shelf, entry: Entry, owner: str, until: datetime) -> Claim:
        leased = replace(entry, token=entry.token + 1, attempts=entry.attempts + 1, due_at=until, lease_owner=owner)
        shelf.entries[entry.id] = leased
        return Claim(
            collection=shelf.collection.name,
            kind="delete" if entry.state == "deleting" else "index",
            document=shelf.stored(entry).document,
            revision=entry.revision,
            token=leased.token,
            previous=() if entry.indexed_revision is None else shelf.chunks[entry.id],
            attempts=entry.attempts,
        )

    def _settle(self, outcome: Outcome, tally: Tally, now: datetime) -> bool:
        document_id = outcome.claim.document.id
        shelf = self._find(outcome.claim.collection)
        entry = shelf.entries.get(document_id) if shelf else None
        settlement = settle(entry, outcome, now)
        if shelf is None or entry is None or settlement is None:
            return False
        tally.settle(entry.job_id, outcome, settlement)
        if settlement.entry is None:
            del shelf.entries[document_id], shelf.documents[document_id]
            return True
        shelf.entries[document_id] = settlement.entry
        if settlement.ending == "indexed":
            shelf.chunks[document_id] = outcome.chunks
        return True

    def _book(self, tally: Tally, now: datetime) -> None:
        for job_id, counter in tally.counters.items():
            job = self._jobs[job_id]
            for name in ADDED:
                job[name] += counter[name]
            if job["finished_at"] is None and make_job(job, collection="", failures=()).pending == 0:
                job["finished_at"] = now
        for job_id, failure in tally.failures:
            self._failures.setdefault(job_id, []).append(failure)
