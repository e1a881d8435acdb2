"""``/v1/collections/{name}/documents``: submit, list, read and delete documents."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import Query, Request, Response

from service.access import needs
from service.deps import CatalogDep, CollectionName, DocumentId, PrincipalDep, StateDep, Tenant, Wait
from service.door import BODY_PROBLEMS, Door
from service.errors import INVALID_FORM
from service.forms import FORM_TYPE, uploads_in
from service.lifespan import ServiceState
from service.openapi import document_body
from service.schemas.documents import (
    DeletionBody,
    DeletionView,
    DocumentBatch,
    DocumentBody,
    DocumentList,
    DocumentQuery,
    DocumentView,
    SubmissionView,
    WriteOptions,
)
from service.schemas.jobs import JobView
from service.wire import NDJSON_TYPES, content_type, documents_in, json_body, require_json
from winnow.core import errors
from winnow.core.principal import Principal
from winnow.operations import documents
from winnow.operations import submit as submitting
from winnow.operations.submit import UploadTerms
from winnow.operations.uploads import Upload, read_uploads
from winnow.ports import Submission

router = Door(
    "/v1/collections/{name}",
    tag="documents",
    invalid=errors.InvalidDocument,
    problems=(errors.CollectionNotFound, errors.InvalidDocument),
)
_WRITES: Final = (
    *BODY_PROBLEMS,
    errors.DocumentTooLarge,
    errors.VersionConflict,
    errors.Overloaded,
    errors.StorageFull,
)
_UPLOAD_PROBLEMS: Final = router.problems(*_WRITES, INVALID_FORM)
_THREAD_BYTES: Final = 64 * 1024  # larger bodies are parsed off the event loop, and those that are converted


@router.post(
    "/documents",
    status_code=202,
    responses={
        200: {"model": SubmissionView, "description": "With wait=true: they are searchable."},
        **_UPLOAD_PROBLEMS,
    },
    openapi_extra=needs("documents:write", requestBody=document_body(DocumentBatch, batch=True)),
)
async def post_documents(
    name: CollectionName,
    request: Request,
    response: Response,
    *,
    state: StateDep,
    principal: PrincipalDep,
    options: Annotated[WriteOptions, Query()],
) -> SubmissionView:
    """Submit documents as ``{"documents": [...]}``, as NDJSON, or as the files of a form.

    Each is accepted or rejected on its own. Accepted documents are stored when the answer is sent, and searchable once
    the job is done. If no document is accepted, the answer is an error that names each document under ``rejected``.
    """
    kind = content_type(request)
    if kind not in (*NDJSON_TYPES, FORM_TYPE):
        require_json(request)
    terms = await submitting.admit_upload(
        state.resources, principal, state.backlog, name, priority=options.priority, tenant=options.tenant
    )
    batch = await (_read_form if kind == FORM_TYPE else _read_body)(state, terms, request)
    return await _submit(state, principal, name, batch, options=options, response=response)


@router.put(
    "/documents/{id:path}",
    status_code=202,
    responses={200: {"model": SubmissionView, "description": "With wait=true: it is searchable."}, **_UPLOAD_PROBLEMS},
    openapi_extra=needs("documents:write", requestBody=document_body(DocumentBody)),
)
async def put_document(
    name: CollectionName,
    id: DocumentId,
    request: Request,
    response: Response,
    *,
    state: StateDep,
    principal: PrincipalDep,
    options: Annotated[WriteOptions, Query()],
) -> SubmissionView:
    """Submit one document under the id of the path, as JSON or as a file of a form; its own ``id`` may be left out."""
    raw = None if content_type(request) == FORM_TYPE else await json_body(request)
    terms = await submitting.admit_upload(
        state.resources, principal, state.backlog, name, priority=options.priority, tenant=options.tenant
    )
    batch = await (_read_one_file(state, terms, request, id) if raw is None else _read_one(terms, _with_id(raw, id)))
    return await _submit(state, principal, name, batch, options=options, response=response)


@router.get("/documents", responses=router.problems(), openapi_extra=needs("documents:read"))
async def list_documents(
    name: CollectionName, catalog: CatalogDep, principal: PrincipalDep, query: Annotated[DocumentQuery, Query()]
) -> DocumentList:
    """Ids and states, a page at a time, by id."""
    keys = await documents.see_documents(
        catalog,
        principal,
        name,
        after=query.after,
        limit=query.limit + 1,
        state=query.state,
        source=query.source,
        tenant=query.tenant,
    )
    return DocumentList.page(keys, query.limit)


@router.get(
    "/documents/{id:path}",
    responses=router.problems(errors.DocumentNotFound),
    openapi_extra=needs("documents:read"),
)
async def get_document(
    name: CollectionName, id: DocumentId, catalog: CatalogDep, principal: PrincipalDep, tenant: Tenant = None
) -> DocumentView:
    """The document with its state: pending, indexed, or failed with the reason."""
    return DocumentView.stored(await documents.see_document(catalog, principal, name, id, tenant=tenant))


@router.delete(
    "/documents/{id:path}",
    status_code=202,
    responses={
        200: {"model": DeletionView, "description": "With wait=true: it is gone."},
        **router.problems(errors.DocumentNotFound, errors.StorageFull),
    },
    openapi_extra=needs("documents:write"),
)
async def delete_document(
    name: CollectionName,
    id: DocumentId,
    response: Response,
    *,
    state: StateDep,
    principal: PrincipalDep,
    tenant: Tenant = None,
    wait: Wait = False,
) -> DeletionView:
    """Delete one document. It leaves listings at once, and searches once the job is done."""
    submission = await submitting.delete_one(state.resources, principal, name, id, tenant=tenant)
    return await _deletion(state, submission, response, wait=wait)


@router.post(
    "/documents:delete",
    status_code=202,
    responses={
        200: {"model": DeletionView, "description": "With wait=true: they are gone."},
        **router.problems(*BODY_PROBLEMS, errors.InvalidFilter, errors.StorageFull),
    },
    openapi_extra=needs("documents:write"),
)
async def delete_documents(
    name: CollectionName,
    body: DeletionBody,
    response: Response,
    *,
    state: StateDep,
    principal: PrincipalDep,
    tenant: Tenant = None,
    wait: Wait = False,
) -> DeletionView:
    """Delete documents by id or by filter. Unknown ids are ignored."""
    resources = state.resources
    if body.ids is not None:
        submission = await submitting.delete_by_id(resources, principal, name, body.ids, tenant=tenant)
    else:
        submission = await submitting.delete_by_filter(resources, principal, name, body.filter, tenant=tenant)
    return await _deletion(state, submission, response, wait=wait)


async def _read_form(state: ServiceState, terms: UploadTerms, request: Request) -> submitting.ParsedBatch:
    async with uploads_in(request) as uploads:
        return await read_uploads(state.resources.files, uploads, terms)


async def _read_one(terms: UploadTerms, raw: Any) -> submitting.ParsedBatch:
    return submitting.ParsedBatch([await asyncio.to_thread(submitting.read_document, raw, terms)], [0])


async def _read_one_file(state: ServiceState, terms: UploadTerms, request: Request, id: str) -> submitting.ParsedBatch:
    async with uploads_in(request) as uploads:
        if len(uploads) != 1:
            raise errors.InvalidDocument(
                f"PUT takes one file, not {len(uploads)}; POST takes several", location=("file",)
            )
        file, values = uploads[0]
        batch = await read_uploads(state.resources.files, [Upload(file, _with_id(dict(values), id))], terms)
    if any(document.id != id for document in batch.documents):
        raise errors.InvalidDocument("the rows of the file are documents of their own: POST it", location=("file",))
    return batch


async def _read_body(_: ServiceState, terms: UploadTerms, request: Request) -> submitting.ParsedBatch:
    body = await request.body()
    ndjson = content_type(request) in NDJSON_TYPES

    def parse() -> submitting.ParsedBatch:
        return submitting.parse_batch(documents_in(body, ndjson=ndjson), terms)

    converts = b'"format"' in body  # texts of a format are converted, which takes milliseconds each
    return await asyncio.to_thread(parse) if converts or len(body) > _THREAD_BYTES else parse()


def _with_id(raw: Any, id: str) -> Any:
    if isinstance(raw, dict) and (given := raw.setdefault("id", id)) != id:
        message = f"the body's id {repr(given)[:80]} differs from the path's {repr(id)[:80]}"
        raise errors.InvalidDocument(message, location=("id",))
    return raw


async def _submit(
    state: ServiceState,
    principal: Principal,
    name: str,
    batch: submitting.ParsedBatch,
    *,
    options: WriteOptions,
    response: Response,
) -> SubmissionView:
    await state.work.use_documents(principal, len(batch.documents))
    submission = await submitting.submit(
        state.resources,
        principal,
        name,
        batch,
        source=options.source,
        priority=options.priority,
        count=state.metrics.observe_documents,
        warn=state.metrics.observe_warning,
    )
    view = SubmissionView.of(submission)
    view.job = await _awaited(state, submission.job_id, response, wait=options.wait)
    return view


async def _deletion(state: ServiceState, submission: Submission, response: Response, *, wait: bool) -> DeletionView:
    job = await _awaited(state, submission.job_id, response, wait=wait)
    return DeletionView(job_id=submission.job_id, deleted=submission.accepted - submission.unchanged, job=job)


async def _awaited(state: ServiceState, job_id: str, response: Response, *, wait: bool) -> JobView | None:
    """The job if the caller waits for it; the status is 200 once it is done."""
    if not wait:
        return None
    job = await submitting.wait_for_job(state.resources.catalog.jobs, job_id, stopping=lambda: state.draining)
    if job.status == "done":
        response.status_code = 200
    return JobView.of(job)
