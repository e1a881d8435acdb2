"""The catalog in memory, for tests of what stands above the port: the same rules, no database."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from winnow.catalog.missing import collection_missing, document_missing, job_missing
from winnow.catalog.rules.entries import holds, lacks, queued_to_reembed
from winnow.catalog.rules.fairness import Turns
from winnow.catalog.rules.index_pair import FAILURES_NAMED, begun, switched
from winnow.catalog.rules.job_counters import ADDED, Tally, make_job
from winnow.catalog.rules.repair import nothing, plan_mending
from winnow.catalog.rules.retry_cancel import deletion_stays, plan_cancellation, plan_retry
from winnow.catalog.rules.submissions import Order, Plan, plan_submission, plan_tombstones, sort_out
from winnow.catalog.shelf import Shelf, waiting_queues
from winnow.core.clock import Clock, utc_now
from winnow.core.ids import new_id
from winnow.core.types import Collection, Counts, Document, DocumentState, IndexIdentity, JobStatus
from winnow.ports import (
    Claim,
    DocumentKey,
    Job,
    JobFailure,
    LedgerEntry,
    Outcome,
    ReembedProgress,
    Removal,
    StoredDocument,
    Submission,
)


class FakeCatalog:
    """``Catalog`` in memory. No method gives way to others before it is done, so each is one transaction."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._shelves: dict[str, Shelf] = {}
        self._jobs: dict[str, dict[str, Any]] = {}
        self._failures: dict[str, list[JobFailure]] = {}
        self._turns = Turns()
        self.collections: Any = SimpleNamespace(
            create=self.create_collection,
            get=self.get_collection,
            list=self.list_collections,
            update=self.update_collection,
            mark_deleting=self.mark_deleting,
            purge=self.purge_collection,
            begin_reembed=self.begin_reembed,
            switch_index=self.switch_index,
            clear_beside=self.clear_beside,
        )
        self.documents: Any = SimpleNamespace(
            submit=self.submit,
            tombstone=self.tombstone,
            get=self.get_document,
            scan=self.scan,
            list=self.list_documents,
            counts=self.counts,
        )
        self.queue: Any = SimpleNamespace(
            claim=self.claim,
            renew=self.renew,
            commit=self.commit,
            outdated=self.outdated,
            removals=self.removals,
            forget_removals=self.forget,
            release=self.release,
            backlog=self.backlog,
            enqueue_reembed=self.enqueue_reembed,
        )
        self.jobs: Any = SimpleNamespace(
            get=self.get_job, list=self.list_jobs, retry=self.retry_job, cancel=self.cancel_job, prune=self.prune_jobs
        )
        self.audit: Any = SimpleNamespace(entries=self._audit, repair=self.mend, reembed_progress=self.reembed_progress)

    # --- collections

    async def create_collection(self, collection: Collection) -> Collection:
        existing = self._find(collection.name)
        if existing is None:
            stored = replace(collection, status="ready", created_at=collection.created_at or self._clock())
            existing = self._shelves[collection.uid] = Shelf(stored)
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
        shelf.collection = replace(
            kept,
            chunking=collection.chunking,
            fields=collection.fields,
            rerank_instruct=collection.rerank_instruct,
            metadata=collection.metadata,
        )
        return shelf.collection

    async def begin_reembed(self, name: str, identity: IndexIdentity) -> Collection:
        shelf = self._shelf(name)
        shelf.collection = begun(shelf.collection, identity, self._clock())
        for entry in list(shelf.entries.values()):
            if entry.state == "indexed":
                shelf.entries[entry.id] = replace(entry, error=None, error_code=None)
        return shelf.collection

    async def enqueue_reembed(self, name: str, *, limit: int = 1000) -> int:
        shelf = self._shelf(name)
        resting = [e for e in shelf.visible(None) if e.state == "indexed" and e.due_at is None and e.error is None]
        behind = [entry for entry in resting if lacks(entry, shelf.collection.newer_generation)][:limit]
        shelf.entries.update({entry.id: queued_to_reembed(entry, self._clock()) for entry in behind})
        return len(behind)

    async def reembed_progress(self, name: str) -> ReembedProgress:
        shelf = self._shelf(name)
        newer = shelf.collection.newer_generation
        if newer is None:
            return ReembedProgress(0, 0, 0)
        found = [entry for entry in shelf.visible(None) if entry.indexed_revision is not None]
        lost = [e for e in found if e.built != newer and e.error is not None and e.due_at is None]
        return ReembedProgress(
            documents=len(found),
            done=sum(entry.built == newer for entry in found),
            lacking=sum(lacks(entry, newer) for entry in found),
            failed=sum(lacks(entry, newer) for entry in lost),
            failures=tuple(JobFailure(e.id, e.error_code or "", e.error or "") for e in lost[:FAILURES_NAMED]),
        )

    async def switch_index(self, name: str, *, force: bool = False) -> Collection:
        shelf = self._shelf(name)
        lacking = 0 if force else (await self.reembed_progress(name)).lacking
        shelf.collection = switched(shelf.collection, lacking=lacking)
        return shelf.collection

    async def clear_beside(self, name: str) -> Collection:
        shelf = self._shelf(name)
        shelf.collection = replace(shelf.collection, beside=None)
        for entry in list(shelf.entries.values()):
            if entry.state == "indexed":
                shelf.entries[entry.id] = replace(entry, due_at=None, lease_owner=None)
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
        removed = {document_id: revision for document_id, (revision, _) in shelf.removals.items()}
        plan = plan_submission(batch, shelf.entries, removed, order)
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

    # --- integrity

    async def _audit(
        self, collection: str, *, after: str = "", limit: int = 1000, among: Sequence[str] | None = None
    ) -> Sequence[LedgerEntry]:
        shelf = self._shelf(collection)
        wanted = shelf.entries if among is None else shelf.entries.keys() & set(among)
        return [shelf.audited(shelf.entries[each]) for each in sorted(wanted) if each > after][:limit]

    async def mend(self, collection: str, revisions: Mapping[str, int], *, priority: int = 0) -> Submission:
        shelf = self._shelf(collection)
        order = Order(new_id("job"), "", priority, self._clock())
        plan = plan_mending(revisions, shelf.entries, order)
        shelf.documents.update({entry.id: nothing(entry.id) for entry in plan.created})
        return self._record(shelf, plan, order)

    # --- work

    async def claim(self, owner: str, *, limit: int, lease_seconds: float) -> Sequence[Claim]:
        now = self._clock()
        queues = waiting_queues(self._shelves, now, passing=self._turns.passing())
        if not queues:
            return ()
        queue = self._turns.order(queues)[0]
        self._turns.served(queue.uid)
        shelf, until = self._shelves[queue.uid], now + timedelta(seconds=lease_seconds)
        due = [entry for entry in shelf.due(now) if entry.priority <= queue.priority]
        return [shelf.lease(entry, owner, until) for entry in due[:limit]]

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
        shelves = [self._find(outcome.claim.collection) for outcome in outcomes]
        accepted = [
            shelf is not None and shelf.settle(outcome, tally, now)
            for shelf, outcome in zip(shelves, outcomes, strict=True)
        ]
        self._book(tally, now)
        return accepted

    async def outdated(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        found: list[Claim] = []
        for claim in claims:
            shelf = self._find(claim.collection)
            entry = shelf.entries.get(claim.document.id) if shelf else None
            if shelf and (entry is None or entry.revision > claim.revision):
                found.append(claim)
        return found

    async def removals(self, *, limit: int) -> Sequence[Removal]:
        due = [
            (due_at, Removal(shelf.collection.name, document_id, revision))
            for shelf in self._shelves.values()
            for document_id, (revision, due_at) in shelf.removals.items()
            if due_at <= self._clock() and shelf.collection.status == "ready"
        ]
        return [removal for _, removal in sorted(due, key=lambda each: (each[0], each[1].document_id))][:limit]

    async def forget(self, removed: Sequence[Removal]) -> None:
        for each in removed:
            shelf = self._find(each.collection)
            if shelf and shelf.removals.get(each.document_id, (0, utc_now()))[1] <= self._clock():
                shelf.removals.pop(each.document_id, None)

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

    async def list_jobs(
        self,
        *,
        collection: str | None = None,
        status: JobStatus | None = None,
        failed: bool = False,
        after: str = "",
        limit: int = 100,
    ) -> Sequence[Job]:
        uid = None if collection is None else self._shelf(collection).collection.uid
        found: list[Job] = []
        for job_id in sorted(self._jobs, reverse=True):
            row = self._jobs[job_id]
            shelf = self._shelves[row["collection_uid"]].collection
            job = make_job(row, collection=shelf.name, failures=())
            wanted = status in {None, job.status} and (job.failed > 0 or not failed) and (job_id < after or not after)
            if wanted and shelf.status == "ready" and uid in {None, shelf.uid}:
                found.append(job)
        return found[:limit]

    async def retry_job(self, job_id: str, *, priority: int = 0) -> Submission:
        shelf, order = self._shelf_of(job_id), Order(new_id("job"), "", priority, self._clock())
        names = {failure.document_id for failure in self._failures.get(job_id, [])}
        again = plan_retry([shelf.entries[name] for name in names if name in shelf.entries], job_id, order)
        if not again:
            return Submission("", 0, 0)
        return self._record(shelf, Plan(Submission(order.job_id, len(again), 0), (), (), again, Counter()), order)

    async def cancel_job(self, job_id: str) -> Job:
        shelf, order = self._shelf_of(job_id), Order(new_id("job"), "", 0, self._clock())
        entries = list(shelf.entries.values())
        if any(e.state == "deleting" and e.due_at is not None and e.job_id == job_id for e in entries):
            raise deletion_stays(job_id)
        found = plan_cancellation(entries, job_id, order)
        shelf.entries.update({entry.id: entry for entry in found.stopped})
        if found.removed:
            submission = Submission(order.job_id, len(found.removed), 0)
            self._record(shelf, Plan(submission, (), (), found.removed, Counter()), order)
        tally = Tally()
        tally.cancel(job_id, len(found.removed) + len(found.stopped))
        self._book(tally, order.now)
        return await self.get_job(job_id)

    async def prune_jobs(self, *, before: datetime, limit: int = 1000) -> int:
        finished = [job for job in self._jobs.values() if job["finished_at"] and job["finished_at"] < before]
        for job in sorted(finished, key=lambda job: job["finished_at"])[:limit]:
            del self._jobs[job["id"]]
            self._failures.pop(job["id"], None)
        return len(finished[:limit])

    async def check(self) -> None:
        """Memory always serves."""

    async def close(self) -> None:
        """Nothing to let go."""

    # --- parts

    def _find(self, name: str) -> Shelf | None:
        named = (shelf for shelf in self._shelves.values() if shelf.collection.name == name)
        return next((shelf for shelf in named if shelf.collection.status == "ready"), None)

    def _shelf(self, name: str) -> Shelf:
        shelf = self._find(name)
        if shelf is None:
            raise collection_missing(name)
        return shelf

    def _shelf_of(self, job_id: str) -> Shelf:
        shelf = self._shelves.get(self._jobs[job_id]["collection_uid"]) if job_id in self._jobs else None
        if shelf is None or shelf.collection.status != "ready":
            raise job_missing(job_id)
        return shelf

    def _record(self, shelf: Shelf, plan: Plan, order: Order) -> Submission:
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

    def _book(self, tally: Tally, now: datetime) -> None:
        for job_id, counter in tally.counters.items():
            job = self._jobs[job_id]
            for name in ADDED:
                job[name] += counter[name]
            if job["finished_at"] is None and make_job(job, collection="", failures=()).pending == 0:
                job["finished_at"] = now
        for job_id, failure in tally.failures:
            self._failures.setdefault(job_id, []).append(failure)
