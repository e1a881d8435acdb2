"""``/v1/files``: upload files, list, read and delete them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from service.access import principal_of
from service.deps import DocumentId, state_of
from service.doors.vector_stores.shared import PageParameters, listed, seconds_of, under_v1
from service.errors import INVALID_FORM, UNSUPPORTED_MEDIA_TYPE, Problem
from service.forms import FORM_TYPE
from service.wire import content_type, json_response
from winnow.core.errors import InvalidInput
from winnow.operations.attachments import delete_file
from winnow.operations.kept_files import READERS, keep_file, see_file, see_files
from winnow.ports import KeptFile

PIECE: Final = 2**20
MAX_FIELDS: Final = 16
_DEFAULT_PURPOSE: Final = "assistants"


class FilesParameters(PageParameters):
    """A page of files of one purpose."""

    limit: int = Field(100, ge=1, le=10_000)
    purpose: str | None = None


@under_v1("POST", "/files", "documents:write")
async def create_file(request: Request) -> Response:
    """Keep a file as it is; it is searchable once it is attached to a store."""
    if content_type(request) != FORM_TYPE:
        raise Problem(UNSUPPORTED_MEDIA_TYPE, f"send Content-Type: {FORM_TYPE}, with the parts file and purpose")
    try:
        async with request.form(max_files=1, max_fields=MAX_FIELDS) as form:
            file = await _keep(request, form)
    except HTTPException as error:
        if isinstance(error, Problem):
            raise
        raise Problem(INVALID_FORM, f"the body is not a form: {error.detail}") from error
    return json_response(_view(file))


@under_v1("GET", "/files", "documents:read")
async def list_files(request: Request, page: Annotated[FilesParameters, Query()]) -> Response:
    """Files that the caller sees, newest first unless asked otherwise."""
    found = await see_files(
        state_of(request).resources.catalog,
        principal_of(request),
        after=page.beyond,
        descending=page.descending,
        limit=page.limit + 1,
        purpose=page.purpose,
    )
    shown, more = page.cut(found)
    return listed([_view(each) for each in shown], more=more)


@under_v1("GET", "/files/{id}", *READERS)
async def retrieve_file(id: DocumentId, request: Request) -> Response:
    """One file, without its content."""
    return json_response(_view(await see_file(state_of(request).resources.catalog, principal_of(request), id)))


@under_v1("GET", "/files/{id}/content", "documents:read")
async def read_file(id: DocumentId, request: Request) -> Response:
    """The content as it was uploaded."""
    catalog = state_of(request).resources.catalog
    file = await see_file(catalog, principal_of(request), id, "documents:read")
    headers = {"Content-Disposition": "attachment", "Content-Length": str(file.size)}
    return StreamingResponse(catalog.files.content(id), media_type="application/octet-stream", headers=headers)


@under_v1("DELETE", "/files/{id}", "documents:write")
async def delete_uploaded_file(id: DocumentId, request: Request) -> Response:
    """Delete a file, and remove it from every store that the caller sees."""
    await delete_file(state_of(request).resources, principal_of(request), id)
    return json_response({"id": id, "object": "file", "deleted": True})


async def _keep(request: Request, form: FormData) -> KeptFile:
    upload = form.get("file")
    if not isinstance(upload, UploadFile):
        raise InvalidInput("the form has no part file with a file name", location=("file",))
    return await keep_file(
        state_of(request).resources,
        principal_of(request),
        upload.filename or "",
        _pieces(upload),
        size=upload.size or 0,
        purpose=str(form.get("purpose") or _DEFAULT_PURPOSE),
        content_type=upload.content_type or "",
        expires_in=_expires_in(form),
    )


def _expires_in(form: FormData) -> int | None:
    """The seconds of ``expires_after[anchor]`` and ``expires_after[seconds]``."""
    given = form.get("expires_after[seconds]")
    anchor = form.get("expires_after[anchor]") or "created_at"
    if given is None:
        return None
    if anchor != "created_at" or not str(given).isdecimal():
        message = "expires_after has the anchor created_at, and seconds as a whole number"
        raise InvalidInput(message, location=("expires_after",))
    return int(str(given))


async def _pieces(upload: UploadFile) -> AsyncIterator[bytes]:
    while piece := await upload.read(PIECE):
        yield piece


def _view(file: KeptFile) -> dict[str, Any]:
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size,
        "created_at": seconds_of(file.created_at),
        "expires_at": None if file.expires_at is None else seconds_of(file.expires_at),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }
