"""``/v1/vector_stores/{id}/file_batches``: attach many files at once, follow and cancel them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query, Request, Response

from service.access import principal_of
from service.deps import CollectionName, state_of
from service.doors.vector_stores.bodies import BatchBody
from service.doors.vector_stores.shared import POLL_HEADERS, listed, seconds_of, under_v1
from service.doors.vector_stores.store_files import FileListParameters, file_view
from service.lifespan import ServiceState
from service.wire import json_response
from winnow.core.principal import Principal
from winnow.operations.attachments import CollectionFile, cancel_batch, see_batch
from winnow.operations.kept_files import READERS
from winnow.ports import AttachmentBatch


@under_v1("POST", "/vector_stores/{name}/file_batches", "documents:write")
async def create_file_batch(name: CollectionName, request: Request, body: BatchBody) -> Response:
    """Attach uploaded files together."""
    state, principal = state_of(request), principal_of(request)
    principal.require("documents:write", collection=name)
    collection = await state.resources.catalog.collections.get(name)
    batch_id = await state.attach(principal, name, body.to_attach(collection), as_batch=True)
    return await _answer(state, principal, name, batch_id)


@under_v1("GET", "/vector_stores/{name}/file_batches/{batch}", *READERS)
async def retrieve_file_batch(name: CollectionName, batch: str, request: Request) -> Response:
    """A batch with the numbers of its files by status."""
    return await _answer(state_of(request), principal_of(request), name, batch)


@under_v1("POST", "/vector_stores/{name}/file_batches/{batch}/cancel", "documents:write")
async def cancel_file_batch(name: CollectionName, batch: str, request: Request) -> Response:
    """Cancel the files of a batch that have not been read yet."""
    state, principal = state_of(request), principal_of(request)
    await cancel_batch(state.resources, principal, name, batch)
    return await _answer(state, principal, name, batch)


@under_v1("GET", "/vector_stores/{name}/file_batches/{batch}/files", *READERS)
async def list_batch_files(
    name: CollectionName, batch: str, request: Request, page: Annotated[FileListParameters, Query()]
) -> Response:
    """The files of a batch by id."""
    catalog, principal = state_of(request).resources.catalog, principal_of(request)
    _, files = await see_batch(catalog, principal, name, batch)
    files.sort(key=lambda each: each.id, reverse=page.descending)
    beyond = page.beyond
    left = [
        each
        for each in files
        if (page.filter is None or each.status == page.filter)
        and (not beyond or (each.id < beyond if page.descending else each.id > beyond))
    ]
    collection = await catalog.collections.get(name)
    shown, more = page.cut(left[: page.limit + 1])
    return listed([file_view(collection, each) for each in shown], more=more)


async def _answer(state: ServiceState, principal: Principal, name: str, batch_id: str) -> Response:
    batch, files = await see_batch(state.resources.catalog, principal, name, batch_id)
    view = _view(name, batch, files)
    response = json_response(view)
    if view["status"] == "in_progress":
        response.headers.update(POLL_HEADERS)
    return response


def _view(name: str, batch: AttachmentBatch, files: Sequence[CollectionFile]) -> dict[str, Any]:
    found = Counter(each.status for each in files)
    status = "in_progress" if found["in_progress"] else "cancelled" if batch.cancelled else "completed"
    counts = {each: found[each] for each in ("in_progress", "completed", "failed", "cancelled")}
    return {
        "id": batch.id,
        "object": "vector_store.file_batch",
        "created_at": seconds_of(batch.created_at),
        "vector_store_id": name,
        "status": status,
        "file_counts": {**counts, "total": len(files)},
    }
