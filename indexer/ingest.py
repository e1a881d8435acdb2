"""Indexes sources into a collection: reads, submits, waits for the worker, and summarises.

Documents go to a ``Destination``, such as a service over HTTP.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from indexer.reading import BATCH_DOCUMENTS, Inventory, read_batches
from winnow.core.errors import Overloaded, RateLimited
from winnow.core.marks import DocumentWarning
from winnow.core.retry import RetryPolicy, retry
from winnow.core.tenancy import plain_id
from winnow.core.types import Document
from winnow.ports import DocumentKey, Job, Submission
from winnow.ports.source import Failure, Notice, Source

POLL_SECONDS: Final = 0.2

_SOON_SECONDS: Final = 60.0
_OVERLOAD: Final = RetryPolicy(first_wait=1.0, longest_wait=1.0)


class Destination(Protocol):
    """Where documents are submitted."""

    async def submit(self, collection: str, documents: Sequence[Document], *, source: str) -> Submission:
        """Submit documents; they are acknowledged on return. Raises ``Overloaded`` if too many are waiting."""

    async def delete(self, collection: str, document_ids: Sequence[str]) -> Submission:
        """Delete documents; acknowledged on return."""

    async def job(self, job_id: str) -> Job:
        """Progress of a submission."""

    def keys(self, collection: str, *, source: str | None = None) -> AsyncIterator[DocumentKey]:
        """Keys of the collection's documents; only of those from ``source`` if given."""


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """Progress of a run. ``expected`` is an estimate of the number of documents, ``None`` if unknown."""

    expected: int | None
    done: int = 0
    chunks: int = 0


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """Result of a run. ``seconds`` is wall time; ``warnings`` are losses in reading, each with the document's id."""

    collection: str
    seen: int = 0
    indexed: int = 0
    unchanged: int = 0
    deleted: int = 0
    failed: int = 0
    chunks_embedded: int = 0
    chunks_unread: int = 0
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()
    notices: tuple[Notice, ...] = ()
    warnings: tuple[tuple[str, DocumentWarning], ...] = ()


@dataclass
class _Run:
    """The state of a run: what it found, its open jobs by id, and the finished ones."""

    collection: str
    tenant: str
    max_chars: int
    expected: int | None
    inventory: Inventory = field(default_factory=Inventory)
    open: dict[str, Job | None] = field(default_factory=dict)
    closed: list[Job] = field(default_factory=list)

    def jobs(self) -> list[Job]:
        return [*self.closed, *(job for job in self.open.values() if job is not None)]

    def progress(self) -> IngestProgress:
        jobs = self.jobs()
        return IngestProgress(
            expected=self.expected,
            done=sum(job.total - job.pending for job in jobs),
            chunks=sum(job.chunks_embedded + job.chunks_unread for job in jobs),
        )


async def ingest(
    destination: Destination,
    collection: str,
    sources: Sequence[Source],
    *,
    delete_missing: bool = False,
    may_delete: Callable[[str, int, int], bool] = lambda *_: False,
    max_chars: int,
    tenant: str = "",
    on_progress: Callable[[IngestProgress], None] = lambda _: None,
) -> IndexSummary:
    """Index ``sources`` into ``collection`` and wait until every accepted document is searchable or has failed.

    Args:
        destination: where the documents go.
        collection: an existing collection.
        sources: read one after the other; an id that occurs in two of them fails the second time.
        max_chars: longest text that the destination accepts.
        tenant: of documents that name none, at the destination.
        delete_missing: delete documents that an earlier run found in the same sources and this one did not.
        may_delete: asked on a thread before more than half of a source's documents are deleted, with its label, the
            number of missing documents and that of all; if it says no, none is deleted and a failure says so.
        on_progress: called a few times a second.

    Returns:
        The summary, with every failure.
    """
    began = time.perf_counter()
    counts = [await source.count() for source in sources]
    run = _Run(collection, tenant, max_chars, None if None in counts else sum(count or 0 for count in counts))
    for source in sources:
        await _submit_all(destination, run, source, on_progress)
    if delete_missing:
        await _finish(destination, run, on_progress)  # what was renamed takes over the vectors of its former id
        for source in sources:
            await _delete_missing(destination, run, source, may_delete)
    await _finish(destination, run, on_progress)
    return _summarise(run, time.perf_counter() - began)


def _is_soon(error: Exception) -> bool:
    """Whether the caller's quota has room again in a moment, as one of requests in a second has."""
    return isinstance(error, RateLimited) and error.retry_after is not None and error.retry_after <= _SOON_SECONDS


async def _submit_all(
    destination: Destination, run: _Run, source: Source, on_progress: Callable[[IngestProgress], None]
) -> None:
    found = run.inventory
    async for batch in read_batches(source, run.tenant):
        found.note(source, batch)
        accepted = [document for document in batch.documents if _is_accepted(run, source, document)]
        if accepted:
            submission = await retry(
                partial(destination.submit, run.collection, accepted, source=source.label),
                _OVERLOAD,
                again=lambda error, _: isinstance(error, Overloaded) or _is_soon(error),
            )
            if submission.job_id:
                run.open[submission.job_id] = None
            found.failures.extend(
                Failure(f"{source.label}: {item.id}", item.code, item.message, item.id or "")
                for item in submission.rejected
            )
        await _poll(destination, run)
        on_progress(run.progress())


def _is_accepted(run: _Run, source: Source, document: Document) -> bool:
    """Whether a document can be submitted; otherwise a failure says why not."""
    first = run.inventory.origins.setdefault(document.id, source.label)
    if first != source.label:
        code = "duplicate_id"
        message = f"id {plain_id(document.id)!r} was already taken by {first}; index the two into separate collections"
    elif len(document.text) > run.max_chars:
        code = "document_too_large"
        message = f"text has {len(document.text):,} characters; the limit is {run.max_chars:,}"
    else:
        return True
    run.inventory.failures.append(Failure(f"{source.label}: {plain_id(document.id)}", code, message, document.id))
    return False


async def _delete_missing(
    destination: Destination, run: _Run, source: Source, may_delete: Callable[[str, int, int], bool]
) -> None:
    known = [key.id async for key in destination.keys(run.collection, source=source.label)]
    missing = run.inventory.missing_from(source, [id_ for id_ in known if run.inventory.lacks(id_)])
    many = 2 * len(missing) > len(known)
    if many and not await asyncio.to_thread(may_delete, source.label, len(missing), len(known)):
        message = (
            f"{len(missing):,} of {len(known):,} documents were not found; they are kept, --yes-delete deletes them"
        )
        run.inventory.failures.append(Failure(source.label, "many_missing", message))
        return
    for begin in range(0, len(missing), BATCH_DOCUMENTS):
        submission = await destination.delete(run.collection, missing[begin : begin + BATCH_DOCUMENTS])
        run.open[submission.job_id] = None


async def _finish(destination: Destination, run: _Run, on_progress: Callable[[IngestProgress], None]) -> None:
    while run.open:
        await _poll(destination, run)
        on_progress(run.progress())
        if run.open:
            await asyncio.sleep(POLL_SECONDS)


async def _poll(destination: Destination, run: _Run) -> None:
    for job_id in list(run.open):
        job = await destination.job(job_id)
        if job.status == "done":
            run.closed.append(job)
            del run.open[job_id]
        else:
            run.open[job_id] = job
            break  # jobs end nearly in the order of submission: ask for the others when this one is done


def _summarise(run: _Run, seconds: float) -> IndexSummary:
    jobs = run.closed
    found = run.inventory
    failed = [item for job in jobs for item in job.failures]
    failures = (*found.failures, *(Failure(i.document_id, i.code, i.message, i.document_id) for i in failed))
    return IndexSummary(
        collection=run.collection,
        seen=len(found.origins) + sum(1 for item in found.failures if item.document_id not in found.origins),
        indexed=sum(job.indexed for job in jobs),
        unchanged=sum(job.unchanged for job in jobs),
        deleted=sum(job.deleted for job in jobs),
        failed=len(failures),
        chunks_embedded=sum(job.chunks_embedded for job in jobs),
        chunks_unread=sum(job.chunks_unread for job in jobs),
        seconds=seconds,
        failures=failures,
        notices=tuple(found.notices),
        warnings=tuple(found.warned),
    )
