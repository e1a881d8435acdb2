"""``/v1/collections/{name}/documents``: hand documents in, look at them, take them out."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from service import submission
from service.deps import CatalogDep, CollectionName, DocumentTarget, PageDep, StateDep, Wait, WriteOptionsDep
from service.openapi import BODY_PROBLEMS, document_body, problems
from service.schemas.documents import (
    DeletionBody,
    DeletionView,
    DocumentBatch,
    DocumentBody,
    DocumentList,
    DocumentView,
    SubmissionView,
)
from service.wire import DocumentRoute
from winnow.core.errors import (
    CollectionNotFound,
    DocumentNotFound,
    DocumentTooLarge,
    InvalidDocument,
    InvalidFilter,
    Overloaded,
    StorageFull,
    VersionConflict,
)

router = APIRouter(prefix="/v1/collections/{name}", tags=["documents"], route_class=DocumentRoute)
_WRITE_PROBLEMS = problems(
    *BODY_PROBLEMS, CollectionNotFound, InvalidDocument, DocumentTooLarge, VersionConflict, Overloaded, StorageFull
)


@router.post(
    "/documents",
    status_code=202,
    responses={
        200: {"model": SubmissionView, "description": "With wait=true: they are searchable."},
        **_WRITE_PROBLEMS,
    },
    openapi_extra=document_body(DocumentBatch, ndjson=True),
)
async def post_documents(
    name: CollectionName, request: Request, response: Response, state: StateDep, options: WriteOptionsDep
) -> SubmissionView:
    """Hand in documents as ``{"documents": [...]}`` or as NDJSON; each is accepted or rejected on its own.

    What is accepted is stored when the answer is sent, and searchable once the job is done. If nothing could be
    accepted the answer is an error that names each document under ``rejected``.
    """
    view = await submission.submit_batch(state, name, request, options)
    response.status_code = submission.status_of(view.job)
    return view


@router.put(
    "/documents/{id:path}",
    status_code=202,
    responses={200: {"model": SubmissionView, "description": "With wait=true: it is searchable."}, **_WRITE_PROBLEMS},
    openapi_extra=document_body(DocumentBody),
)
async def put_document(
    target: DocumentTarget, request: Request, response: Response, state: StateDep, options: WriteOptionsDep
) -> SubmissionView:
    """Hand in one document under the id of the path; the body's ``id`` may be left out."""
    view = await submission.submit_one(state, target, request, options)
    response.status_code = submission.status_of(view.job)
    return view


@router.get("/documents", responses=problems(CollectionNotFound, InvalidDocument))
async def list_documents(name: CollectionName, catalog: CatalogDep, page: PageDep) -> DocumentList:
    """Ids and states, a page at a time, by id."""
    await catalog.collections.get(name)
    keys = await catalog.documents.list(
        name, after=page.after, limit=page.limit + 1, state=page.state, source=page.source
    )
    return DocumentList.page(keys, page.limit)


@router.get("/documents/{id:path}", responses=problems(CollectionNotFound, DocumentNotFound, InvalidDocument))
async def get_document(target: DocumentTarget, catalog: CatalogDep) -> DocumentView:
    """The document with its state: pending, indexed or failed, and then why."""
    return DocumentView.of(await catalog.documents.get(target.collection, target.id))


@router.delete(
    "/documents/{id:path}",
    status_code=202,
    responses={
        200: {"model": DeletionView, "description": "With wait=true: it is gone."},
        **problems(CollectionNotFound, DocumentNotFound, InvalidDocument, StorageFull),
    },
)
async def delete_document(
    target: DocumentTarget, response: Response, state: StateDep, wait: Wait = False
) -> DeletionView:
    """Delete one document. It is gone from listings at once, and from searches once the job is done."""
    await state.resources.catalog.documents.get(target.collection, target.id)
    view = await submission.delete(state, target.collection, [target.id], wait=wait)
    response.status_code = submission.status_of(view.job)
    return view


@router.post(
    "/documents:delete",
    status_code=202,
    responses={
        200: {"model": DeletionView, "description": "With wait=true: they are gone."},
        **problems(*BODY_PROBLEMS, CollectionNotFound, InvalidDocument, InvalidFilter, StorageFull),
    },
)
async def delete_documents(
    name: CollectionName, body: DeletionBody, response: Response, state: StateDep, wait: Wait = False
) -> DeletionView:
    """Delete documents by id or by filter. Ids that are not there are passed over."""
    ids = body.ids if body.ids is not None else await submission.matching(state, name, body.filter)
    view = await submission.delete(state, name, ids, wait=wait)
    response.status_code = submission.status_of(view.job)
    return view
