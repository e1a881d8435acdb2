"""``/v1/vector_stores/{id}/files``: attach files, follow them, change their attributes, read and remove them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from pydantic import Field

from service.access import principal_of
from service.deps import CollectionName, DocumentId, state_of
from service.doors.vector_stores.bodies import AttributesBody, StoreFileBody
from service.doors.vector_stores.shared import POLL_HEADERS, PageParameters, listed, seconds_of, under_v1
from service.wire import json_response
from winnow.core.types import Collection
from winnow.operations.attachments import (
    CollectionFile,
    describe_file,
    detach_file,
    see_attached,
    see_attached_files,
    texts_of_file,
)
from winnow.operations.kept_files import READERS

_CODES = {"unknown_type": "unsupported_file", "server_error": "server_error"}


class FileListParameters(PageParameters):
    """A page of files in one status."""

    filter: Literal["in_progress", "completed", "failed", "cancelled"] | None = Field(None, description="a status")


@under_v1("POST", "/vector_stores/{name}/files", "documents:write")
async def create_vector_store_file(name: CollectionName, request: Request, body: StoreFileBody) -> Response:
    """Attach an uploaded file, which is then read and indexed."""
    state, principal = state_of(request), principal_of(request)
    principal.require("documents:write", collection=name)
    collection = await state.resources.catalog.collections.get(name)
    await state.attach(principal, name, [body.to_attach(collection)])
    return file_answer(collection, await see_attached(state.resources.catalog, principal, name, body.file_id))


@under_v1("GET", "/vector_stores/{name}/files", "documents:read")
async def list_vector_store_files(
    name: CollectionName, request: Request, page: Annotated[FileListParameters, Query()]
) -> Response:
    """Files by id, which for uploaded ones is by time."""
    catalog, principal = state_of(request).resources.catalog, principal_of(request)
    found = await see_attached_files(
        catalog,
        principal,
        name,
        after=page.beyond,
        descending=page.descending,
        limit=page.limit + 1,
        status=page.filter,
    )
    collection = await catalog.collections.get(name)
    shown, more = page.cut(found)
    return listed([file_view(collection, each) for each in shown], more=more)


@under_v1("GET", "/vector_stores/{name}/files/{id:path}/content", "documents:read")
async def read_vector_store_file(name: CollectionName, id: DocumentId, request: Request) -> Response:
    """The text that was read from a file, as it is searched."""
    texts = await texts_of_file(state_of(request).resources.catalog, principal_of(request), name, id)
    data = [{"type": "text", "text": each} for each in texts]
    return json_response(
        {"object": "vector_store.file_content.page", "data": data, "has_more": False, "next_page": None}
    )


@under_v1("GET", "/vector_stores/{name}/files/{id:path}", *READERS)
async def retrieve_vector_store_file(name: CollectionName, id: DocumentId, request: Request) -> Response:
    """One file with its status."""
    catalog = state_of(request).resources.catalog
    found = await see_attached(catalog, principal_of(request), name, id)
    return file_answer(await catalog.collections.get(name), found)


@under_v1("POST", "/vector_stores/{name}/files/{id:path}", "documents:write")
async def update_vector_store_file(
    name: CollectionName, id: DocumentId, request: Request, body: AttributesBody
) -> Response:
    """Replace the attributes of a file."""
    resources = state_of(request).resources
    found = await describe_file(resources, principal_of(request), name, id, body.attributes)
    return file_answer(await resources.catalog.collections.get(name), found)


@under_v1("DELETE", "/vector_stores/{name}/files/{id:path}", "documents:write")
async def delete_vector_store_file(name: CollectionName, id: DocumentId, request: Request) -> Response:
    """Remove a file from a store, with its documents; the uploaded file stays."""
    await detach_file(state_of(request).resources, principal_of(request), name, id)
    return json_response({"id": id, "object": "vector_store.file.deleted", "deleted": True})


def file_answer(collection: Collection, file: CollectionFile) -> Response:
    """One file; where it is in progress the client is told how soon to ask again."""
    response = json_response(file_view(collection, file))
    if file.status == "in_progress":
        response.headers.update(POLL_HEADERS)
    return response


def file_view(collection: Collection, file: CollectionFile) -> dict[str, Any]:
    """A file of a store as OpenAI's clients read it."""
    chunking = collection.chunking
    error = None
    if file.error is not None:
        error = {"code": _CODES.get(file.error_code or "", "invalid_file"), "message": file.error}
    return {
        "id": file.id,
        "object": "vector_store.file",
        "usage_bytes": file.size,
        "created_at": seconds_of(file.created_at),
        "vector_store_id": collection.name,
        "status": file.status,
        "last_error": error,
        "chunking_strategy": {
            "type": "static",
            "static": {"max_chunk_size_tokens": chunking.max_tokens, "chunk_overlap_tokens": chunking.overlap},
        },
        "attributes": dict(file.attributes),
        "filename": file.filename,
    }
