"""Submitting and deleting documents, and following the jobs that do the work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, TypeAlias

from winnow.core.access import may_name, view_of
from winnow.core.documents import parse_document
from winnow.core.errors import Forbidden, InvalidDocument, InvalidInput, by_code
from winnow.core.principal import Principal
from winnow.core.tenancy import plain_id, qualify_id, tenant_of
from winnow.core.types import Document, FieldType
from winnow.operations.admission import Backlog
from winnow.operations.audit import audited, event_of
from winnow.operations.documents import declare_access, find_document, matching_ids
from winnow.operations.model_choice import choose_model
from winnow.operations.resources import Resources
from winnow.ports import Job, JobCatalog, Rejection, Submission

INTERACTIVE: Final = 10  # priority of uploads that a user waits for; bulk loads use 0
WAIT_SECONDS: Final = 60.0  # longest wait of a caller for a job
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.25
CountDocuments: TypeAlias = Callable[[str, int], None]


class NothingAccepted(InvalidInput):
    """Every document of a batch was rejected.

    Attributes:
        code: the code of all rejections if they share one, else ``invalid_document``.
        rejected: the rejections, in the order of the batch; at least one.
    """

    def __init__(self, rejected: Sequence[Rejection]) -> None:
        first, more = rejected[0], len(rejected) - 1
        super().__init__(
            f"no document was accepted; document {first.index}: {first.message}{f' (and {more} more)' if more else ''}"
        )
        reasons = {item.code for item in rejected}
        self.code = ((by_code(reasons.pop()) if len(reasons) == 1 else None) or InvalidDocument).code
        self.rejected = tuple(rejected)


@dataclass(frozen=True, slots=True)
class UploadTerms:
    """What the documents of an upload have to keep to.

    Attributes:
        fields: declared fields of the collection.
        max_chars: longest text, in characters.
        tenant: of documents that name none.
        admits: whether a document may be of this tenant.
    """

    fields: Mapping[str, FieldType]
    max_chars: int
    tenant: str = ""
    admits: Callable[[str], bool] = lambda _: True


@dataclass(slots=True)
class ParsedBatch:
    """The valid documents of a batch, and the rejected ones.

    Attributes:
        positions: for each of ``documents`` its index in the batch.
    """

    documents: list[Document] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)

    def add(self, index: int, raw: object, terms: UploadTerms, *, where: str = "") -> None:
        """Check one document and take it in, or note why not; ``where`` says more than ``index`` of its place."""
        try:
            document = read_document(raw, terms)
        except (InvalidDocument, Forbidden) as error:
            message = f"{where}: {error.message}" if where else error.message
            self.rejected.append(Rejection(index, _id_of(raw), error.code, message))
        else:
            self.documents.append(document)
            self.positions.append(index)

    def all_rejections(self, by_catalog: Sequence[Rejection]) -> tuple[Rejection, ...]:
        """These rejections and the catalog's, whose indexes count ``documents``, in the order of the batch."""
        theirs = [replace(item, index=self.positions[item.index]) for item in by_catalog]
        return tuple(sorted((*self.rejected, *theirs), key=lambda item: item.index))


def read_document(raw: object, terms: UploadTerms) -> Document:
    """Check one document and convert its text to canonical text. Uses the CPU.

    Raises:
        InvalidDocument: as ``parse_document``.
        Forbidden: it is of a tenant that the caller may not name.
    """
    document = parse_document(raw, fields=terms.fields, max_chars=terms.max_chars, tenant=terms.tenant)
    if not terms.admits(tenant := tenant_of(document.id)):
        raise Forbidden(f"the caller cannot submit documents of tenant {tenant!r}", location=("tenant",))
    try:
        from winnow.conversion.convert import canonical  # noqa: PLC0415 - not for commands that read the catalog

        return canonical(document)
    except ValueError as error:
        message = f"text is not valid {document.source_format} ({error!s:.200})"
        raise InvalidDocument(message, location=("text",)) from error


def parse_batch(items: Iterable[tuple[int, object]], terms: UploadTerms) -> ParsedBatch:
    """Check each document on its own, so that an invalid one rejects only itself.

    Args:
        items: indexes and decoded documents, or a ``Rejection`` in place of one that could not be decoded.
        terms: from ``admit_upload``.

    Raises:
        InvalidDocument: the batch is empty.
    """
    batch = ParsedBatch()
    for index, raw in items:
        if isinstance(raw, Rejection):
            batch.rejected.append(raw)
        else:
            batch.add(index, raw, terms)
    if not batch.documents and not batch.rejected:
        raise InvalidDocument("the batch holds no documents", location=("documents",))
    return batch


async def admit_upload(
    resources: Resources,
    principal: Principal,
    backlog: Backlog,
    name: str,
    *,
    priority: int,
    tenant: str | None = None,
) -> UploadTerms:
    """Return the terms of an upload to a collection; ``tenant`` is that of documents that name none.

    Raises:
        CollectionNotFound: the collection does not exist.
        Forbidden: the principal may not name the tenant.
        Overloaded: too many documents wait already.
    """
    principal.require("documents:write", collection=name)
    view = view_of(principal, tenant)
    collection = await resources.catalog.collections.get(name)
    await backlog.require_room(resources.catalog.queue, bulk=priority < INTERACTIVE)
    limit = resources.settings.indexing.max_document_chars
    return UploadTerms(collection.fields, limit, view.tenant, partial(may_name, principal))


async def submit(
    resources: Resources,
    principal: Principal,
    name: str,
    batch: ParsedBatch,
    *,
    source: str,
    priority: int,
    count: CountDocuments,
    warn: Callable[[str], None],
) -> Submission:
    """Store the valid documents of a batch in one transaction, and wake the worker.

    ``count`` is told how many documents were ``accepted`` and how many ``rejected``, ``warn`` the code of each warning
    of an accepted one.

    Returns:
        The submission, with all rejections by their index in the batch.

    Raises:
        NothingAccepted: every document was rejected.
    """
    principal.require("documents:write", collection=name)
    submission = Submission("", 0, 0)
    if batch.documents:
        await declare_access(resources, name, batch.documents)
        await choose_model(resources, name, batch.documents)
        submission = await resources.catalog.documents.submit(name, batch.documents, source=source, priority=priority)
    refused = {item.index for item in submission.rejected}
    for document in (each for index, each in enumerate(batch.documents) if index not in refused):
        for warning in document.warnings:
            warn(warning.code)
    submission = replace(submission, rejected=batch.all_rejections(submission.rejected))
    count("accepted", submission.accepted)
    count("rejected", len(submission.rejected))
    if submission.accepted == 0:
        raise NothingAccepted(submission.rejected)
    only = batch.documents[0].id if len(batch.documents) == 1 else ""
    facts: dict[str, Any] = {
        "job": submission.job_id,
        "accepted": submission.accepted,
        "rejected": len(submission.rejected),
    }
    resources.catalog.trail.note(event_of(principal, "documents.submit", collection=name, document=only, **facts))
    resources.wake()
    return submission


async def delete_one(
    resources: Resources, principal: Principal, name: str, document_id: str, *, tenant: str | None = None
) -> Submission:
    """Mark one document for deletion. Raises ``CollectionNotFound`` and ``DocumentNotFound``."""
    principal.require("documents:write", collection=name)
    found = await find_document(resources.catalog, principal, name, document_id, tenant)
    return await _delete(resources, principal, name, [found.document.id])


async def delete_by_id(
    resources: Resources, principal: Principal, name: str, ids: Sequence[str], *, tenant: str | None = None
) -> Submission:
    """Mark documents of a tenant for deletion, and wake the worker. Unknown ids count as ``unchanged``.

    Raises:
        CollectionNotFound: the collection does not exist.
        Forbidden: the principal may not name the tenant.
    """
    principal.require("documents:write", collection=name)
    view = view_of(principal, tenant)
    return await _delete(resources, principal, name, [qualify_id(view.tenant, document_id) for document_id in ids])


async def delete_by_filter(
    resources: Resources, principal: Principal, name: str, raw_filter: object, *, tenant: str | None = None
) -> Submission:
    """Mark a tenant's documents that pass a filter for deletion. Raises as ``delete_by_id``, and ``InvalidFilter``."""
    principal.require("documents:write", collection=name)
    view = view_of(principal, tenant)
    return await _delete(resources, principal, name, await matching_ids(resources.catalog, name, raw_filter, view))


async def delete_qualified(resources: Resources, principal: Principal, name: str, ids: Sequence[str]) -> Submission:
    """Mark documents for deletion that the caller has found by their qualified ids. Raises ``CollectionNotFound``."""
    principal.require("documents:write", collection=name)
    return await _delete(resources, principal, name, ids)


async def submit_again(
    resources: Resources, principal: Principal, name: str, documents: Sequence[Document]
) -> Submission:
    """Store changed documents that the caller has read from the catalog, and wake the worker.

    Raises:
        CollectionNotFound: the collection does not exist.
    """
    principal.require("documents:write", collection=name)
    submission = await resources.catalog.documents.submit(name, documents, priority=INTERACTIVE)
    event = event_of(principal, "documents.submit", collection=name, job=submission.job_id, accepted=len(documents))
    resources.catalog.trail.note(event)
    resources.wake()
    return submission


async def _delete(resources: Resources, principal: Principal, name: str, ids: Sequence[str]) -> Submission:
    """Deletions are accepted even if the backlog is full: they are cheap, and must not be delayed."""
    catalog, plain = resources.catalog, [plain_id(each) for each in ids]
    async with audited(catalog.trail, principal, "documents.delete", collection=name, ids=plain) as details:
        submission = await catalog.documents.tombstone(name, ids, priority=INTERACTIVE)
        details.update(job=submission.job_id, deleted=submission.accepted - submission.unchanged)
    resources.wake()
    return submission


async def wait_for_job(
    jobs: JobCatalog, job_id: str, *, stopping: Callable[[], bool], limit: float = WAIT_SECONDS
) -> Job:
    """Return the job once it is done, or as it is after ``limit`` seconds or when ``stopping()`` turns true."""
    end = time.monotonic() + limit
    job = await jobs.get(job_id)
    async for latest in changes_of(jobs, job, stopping=lambda: stopping() or time.monotonic() >= end):
        job = latest
    return job


async def changes_of(jobs: JobCatalog, job: Job, *, stopping: Callable[[], bool]) -> AsyncIterator[Job]:
    """Yield the job as it is now and after every change, until it is done or ``stopping()`` turns true."""
    yield job
    pause = _FIRST_PAUSE
    while job.status != "done" and not stopping():
        await asyncio.sleep(pause)
        latest = await jobs.get(job.id)
        if latest != job:
            job, pause = latest, _FIRST_PAUSE
            yield job
        else:
            pause = min(pause * 1.5, _LONGEST_PAUSE)


def _id_of(raw: Any) -> str | None:
    """The id of a rejected document, shortened, if it has one."""
    value = raw.get("id") if isinstance(raw, dict) else None
    return value[:512] if isinstance(value, str) else None
