"""From sources to a collection: read, submit, wait until the worker is done, sum up.

Where the documents go is a ``Target``: the catalog of this process, or a running service over HTTP.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from indexer.sources.base import Failure, Source
from winnow.core.errors import Overloaded
from winnow.core.types import Document
from winnow.ports import DocumentKey, Job, Submission

BATCH_DOCUMENTS: Final = 256
BATCH_CHARS: Final = 4_000_000
BATCH_SECONDS: Final = 1.0
POLL_SECONDS: Final = 0.2
BACKOFF_SECONDS: Final = 1.0


class Target(Protocol):
    """Where documents are sent."""

    async def submit(self, collection: str, documents: Sequence[Document], *, source: str) -> Submission:
        """Hand documents over; they are acknowledged on return. Raises ``Overloaded`` when too much is waiting."""
        ...

    async def delete(self, collection: str, document_ids: Sequence[str]) -> Submission:
        """Delete documents; acknowledged on return."""
        ...

    async def job(self, job_id: str) -> Job:
        """Progress of a submission."""
        ...

    def keys(self, collection: str, *, source: str | None = None) -> AsyncIterator[DocumentKey]:
        """What the collection holds, by id; only what came from ``source`` if given."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. ``expected`` is an estimate of the number of documents, ``None`` where nobody knows."""

    expected: int | None
    seen: int = 0
    done: int = 0
    chunks: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """What a run did. ``seconds`` is wall time."""

    collection: str
    seen: int = 0
    indexed: int = 0
    unchanged: int = 0
    deleted: int = 0
    failed: int = 0
    chunks_embedded: int = 0
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()


@dataclass
class _Run:
    """What is known while a run goes on: open jobs by id, the finished ones summed up.

    Sources are ``unclear``, by label, when something of them failed that has no id: any document may be in there.
    """

    collection: str
    max_chars: int
    expected: int | None
    seen: dict[str, str] = field(default_factory=dict)
    unclear: set[str] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)
    open: dict[str, Job | None] = field(default_factory=dict)
    closed: list[Job] = field(default_factory=list)

    def jobs(self) -> list[Job]:
        return [*self.closed, *(job for job in self.open.values() if job is not None)]

    def progress(self) -> Progress:
        jobs = self.jobs()
        return Progress(
            expected=self.expected,
            seen=len(self.seen),
            done=sum(job.total - job.pending for job in jobs),
            chunks=sum(job.chunks_embedded for job in jobs),
            failed=len(self.failures) + sum(job.failed for job in jobs),
        )


async def ingest(
    target: Target,
    collection: str,
    sources: Sequence[Source],
    *,
    delete_missing: bool = False,
    max_chars: int,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> IndexSummary:
    """Index ``sources`` into ``collection`` and wait until everything that was accepted is searchable or has failed.

    Args:
        target: where the documents go.
        collection: an existing collection.
        sources: read one after the other; an id that stands in two of them fails the second time.
        max_chars: longest text that the target takes.
        delete_missing: delete documents that an earlier run took from the same sources and that are gone.
        on_progress: called a few times a second.

    Returns:
        The summary, with every failure named.
    """
    began = time.perf_counter()
    counts = [await source.count() for source in sources]
    run = _Run(collection, max_chars, None if None in counts else sum(count or 0 for count in counts))
    for source in sources:
        await _submit_all(target, run, source, on_progress)
    if delete_missing:
        for source in sources:
            await _delete_missing(target, run, source)
    while run.open:
        await _poll(target, run)
        on_progress(run.progress())
        if run.open:
            await asyncio.sleep(POLL_SECONDS)
    return replace(_summarise(run), seconds=time.perf_counter() - began)


async def read_batches(source: Source) -> AsyncIterator[tuple[list[Document], list[Failure]]]:
    """Read a source some hundred documents at a time, or what comes within a second."""
    documents: list[Document] = []
    failures: list[Failure] = []
    chars, until = 0, math.inf
    async with aclosing(source.read()) as items:
        async for item in items:
            if isinstance(item, Failure):
                failures.append(item)
            else:
                documents.append(item)
                chars += len(item.text)
            until = min(until, time.monotonic() + BATCH_SECONDS)
            full = len(documents) + len(failures) >= BATCH_DOCUMENTS or chars >= BATCH_CHARS
            if full or time.monotonic() > until:
                yield documents, failures
                documents, failures, chars, until = [], [], 0, math.inf
    if documents or failures:
        yield documents, failures


async def _submit_all(target: Target, run: _Run, source: Source, on_progress: Callable[[Progress], None]) -> None:
    async for documents, failures in read_batches(source):
        run.failures.extend(failures)
        if not all(failure.document_id for failure in failures):
            run.unclear.add(source.label)
        fresh = []
        for document in documents:
            first = run.seen.setdefault(document.id, source.label)
            if first != source.label:
                run.failures.append(_duplicate(document, source, first))
            elif len(document.text) > run.max_chars:
                run.failures.append(_too_large(document, source, run.max_chars))
            else:
                fresh.append(document)
        if fresh:
            submission = await _patiently(target, run, fresh, source.label)
            if submission.job_id:
                run.open[submission.job_id] = None
            run.failures.extend(
                Failure(f"{source.label}: {item.id}", item.code, item.message, item.id or "")
                for item in submission.rejected
            )
        await _poll(target, run)
        on_progress(run.progress())


def _duplicate(document: Document, source: Source, first: str) -> Failure:
    message = f"id {document.id!r} was already taken by {first}; index the two into collections of their own"
    return Failure(f"{source.label}: {document.id}", "duplicate_id", message, document.id)


def _too_large(document: Document, source: Source, limit: int) -> Failure:
    message = f"text has {len(document.text):,} characters; the limit is {limit:,}"
    return Failure(f"{source.label}: {document.id}", "document_too_large", message, document.id)


async def _patiently(target: Target, run: _Run, documents: Sequence[Document], label: str) -> Submission:
    """Submit, and while the target says that too much is waiting, wait with it."""
    while True:
        try:
            return await target.submit(run.collection, documents, source=label)
        except Overloaded as error:
            await asyncio.sleep(error.retry_after or BACKOFF_SECONDS)


async def _delete_missing(target: Target, run: _Run, source: Source) -> None:
    unreadable = {failure.document_id for failure in run.failures}
    gone = [
        key.id
        async for key in target.keys(run.collection, source=source.label)
        if key.id not in run.seen and key.id not in unreadable
    ]
    if gone and source.label in run.unclear:
        run.failures.append(kept_missing(source, len(gone)))
        return
    for begin in range(0, len(gone), BATCH_DOCUMENTS):
        submission = await target.delete(run.collection, gone[begin : begin + BATCH_DOCUMENTS])
        run.open[submission.job_id] = None


def kept_missing(source: Source, count: int) -> Failure:
    """Why documents that seem gone from a source are not deleted."""
    message = f"{count:,} documents were not found and not deleted: parts of the source that failed may hold them"
    return Failure(source.label, "kept_missing", message)


async def _poll(target: Target, run: _Run) -> None:
    for job_id in list(run.open):
        job = await target.job(job_id)
        if job.status == "done":
            run.closed.append(job)
            del run.open[job_id]
        else:
            run.open[job_id] = job
            break  # jobs end in the order of their submission, nearly: ask the others when this one is done


def _summarise(run: _Run) -> IndexSummary:
    jobs = run.closed
    failed = [
        Failure(item.document_id, item.code, item.message, item.document_id) for job in jobs for item in job.failures
    ]
    failures = (*run.failures, *failed)
    return IndexSummary(
        collection=run.collection,
        seen=len(run.seen) + sum(1 for item in run.failures if item.document_id not in run.seen),
        indexed=sum(job.indexed for job in jobs),
        unchanged=sum(job.unchanged for job in jobs),
        deleted=sum(job.deleted for job in jobs),
        failed=len(failures),
        chunks_embedded=sum(job.chunks_embedded for job in jobs),
        failures=failures,
    )
