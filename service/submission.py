"""Handing documents to the catalog: what the document routes do, between the request and the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from fastapi import Request

from service.batch_reader import Batch, read_batch
from service.deps import Target, WriteOptions
from service.errors import STATUS, Problem, ProblemKind, kind_of
from service.lifespan import ServiceState
from service.progress import wait_for_job
from service.schemas.documents import DeletionView, RejectionView, SubmissionView
from service.schemas.jobs import JobView
from service.wire import NDJSON_TYPES, content_type, json_body, require_json
from winnow.core import errors as domain
from winnow.core.documents import parse_document
from winnow.core.errors import InvalidDocument, WinnowError
from winnow.core.filters import matches, parse_filter
from winnow.ports import Rejection

INTERACTIVE: Final = 10
_THREAD_BYTES: Final = 64 * 1024  # bodies beyond this are parsed off the event loop
_CODES: Final = {error.code: error for error in STATUS}


async def submit_batch(state: ServiceState, name: str, request: Request, options: WriteOptions) -> SubmissionView:
    """Submit what can be accepted of a batch, in one transaction.

    Raises:
        Problem: the body cannot be read, or nothing in it could be accepted.
        Overloaded: too many documents are waiting already.
    """
    ndjson = content_type(request) in NDJSON_TYPES
    if not ndjson:
        require_json(request)
    collection = await state.resources.catalog.collections.get(name)
    await state.backlog.require_room(state.resources.catalog.queue, bulk=options.priority < INTERACTIVE)
    body = await request.body()
    limit = state.settings.indexing.max_document_chars
    read = partial(read_batch, body, ndjson=ndjson, fields=collection.fields, max_chars=limit)
    batch = await asyncio.to_thread(read) if len(body) > _THREAD_BYTES else read()
    return await _submit(state, name, batch, options)


async def submit_one(state: ServiceState, target: Target, request: Request, options: WriteOptions) -> SubmissionView:
    """Submit one document under the id of the path; raises what is wrong with it."""
    raw = await json_body(request)
    collection = await state.resources.catalog.collections.get(target.collection)
    await state.backlog.require_room(state.resources.catalog.queue, bulk=options.priority < INTERACTIVE)
    if isinstance(raw, dict):
        given = raw.setdefault("id", target.id)
        if given != target.id:
            ours, theirs = repr(target.id)[:80], repr(given)[:80]
            raise InvalidDocument(f"the body's id {theirs} is not the path's {ours}", location=("id",))
    limit = state.settings.indexing.max_document_chars
    document = parse_document(raw, fields=collection.fields, max_chars=limit)
    return await _submit(state, target.collection, Batch([document], [0]), options)


async def delete(state: ServiceState, name: str, ids: Sequence[str], *, wait: bool) -> DeletionView:
    """Mark documents for deletion; unknown ids are passed over. Never refused: a deletion is owed, and costs little."""
    submission = await state.resources.catalog.documents.tombstone(name, ids, priority=INTERACTIVE)
    state.resources.wake()
    job = await wait_for_job(state, submission.job_id) if wait else None
    return DeletionView(
        job_id=submission.job_id,
        deleted=submission.accepted - submission.unchanged,
        job=None if job is None else JobView.of(job),
    )


async def matching(state: ServiceState, name: str, filter: Any) -> list[str]:
    """Ids of the documents that pass the filter."""
    catalog = state.resources.catalog
    collection = await catalog.collections.get(name)
    tree = parse_filter(filter, collection.fields)
    return [item.document.id async for item in catalog.documents.scan(name) if matches(tree, item.document.metadata)]


def status_of(job: JobView | None) -> int:
    """200 where the caller waited and the work is done, else 202."""
    return 200 if job is not None and job.status == "done" else 202


async def _submit(state: ServiceState, name: str, batch: Batch, options: WriteOptions) -> SubmissionView:
    if not batch.documents:
        raise _nothing_accepted(batch.rejected)
    submission = await state.resources.catalog.documents.submit(
        name, batch.documents, source=options.source, priority=options.priority
    )
    rejected = batch.all_rejections(submission.rejected)
    state.metrics.observe_documents("accepted", submission.accepted)
    state.metrics.observe_documents("rejected", len(rejected))
    if submission.accepted == 0:
        raise _nothing_accepted(rejected)
    state.resources.wake()
    job = await wait_for_job(state, submission.job_id) if options.wait else None
    return SubmissionView.of(submission.job_id, submission.accepted, rejected, None if job is None else JobView.of(job))


def _nothing_accepted(rejected: Sequence[Rejection]) -> Problem:
    """A 202 would be a lie. The status is that of the one reason they share, else 422."""
    reasons = {item.code for item in rejected}
    shared: type[WinnowError] = _CODES.get(reasons.pop(), InvalidDocument) if len(reasons) == 1 else InvalidDocument
    kind = kind_of(shared if shared is not domain.WinnowError else InvalidDocument)
    first = rejected[0]
    more = f" (and {len(rejected) - 1} more)" if len(rejected) > 1 else ""
    return Problem(
        ProblemKind(kind.status, kind.code, kind.summary),
        f"no document was accepted; document {first.index}: {first.message}{more}",
        errors=[{"loc": ["documents", item.index], "message": item.message} for item in rejected],
        rejected=[RejectionView.model_validate(item).model_dump() for item in rejected],
        accepted=0,
    )
