"""The RAG API of LibreChat: files of its conversations are read, searched and deleted.

Source: the server side of ``danny-avila/rag_api``, and LibreChat's calls of it (``VectorDB/crud``, ``fileSearch``,
``createContextHandlers``, ``parseText``). Requests carry a token that LibreChat's server signs with its ``JWT_SECRET``
for the user, and name an agent as ``entity_id``. LibreChat decides itself who may read or delete a file as a whole;
searches check that the user or the agent owns it, as the original does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final

from fastapi import Request, Response
from pydantic import BaseModel, Field
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from service.access import principal_of
from service.answer import address_of
from service.deps import DocumentId, state_of
from service.disconnect import while_connected
from service.door import SEARCH_PROBLEMS, Door
from service.doors.bodies import ForeignBody, foreign_json
from service.doors.routes import route
from service.errors import INVALID_FORM, UNSUPPORTED_MEDIA_TYPE, ErrorShape, Problem
from service.forms import FORM_TYPE
from service.lifespan import ServiceState
from service.schemas.search import SearchBody
from service.wire import JSON_TYPE, content_type, json_response
from winnow.core import errors
from winnow.core.missing import missing_document
from winnow.core.principal import Principal
from winnow.core.search import Result
from winnow.core.tenancy import plain_id
from winnow.operations.attachment_reader import as_upload
from winnow.operations.chat_files import (
    FILE_FIELD,
    SOURCE_KEY,
    ChatFile,
    delete_chat_files,
    read_chat_file,
    submit_chat_file,
    text_of_chat_file,
    text_of_upload,
)
from winnow.operations.librechat_tokens import as_server, is_of_librechat, on_behalf_of
from winnow.operations.submit import wait_for_job

_MOST: Final = 100  # results of a search
_MAX_FIELDS: Final = 16
_UNKNOWN_TYPE: Final = "unknown_type"


class LibreChatErrorBody(BaseModel):
    """An error as LibreChat reads it."""

    detail: str
    message: str


def _error(problem: Problem, _: str | None) -> dict[str, Any]:
    return {"detail": problem.detail, "message": problem.detail}


SHAPE: Final = ErrorShape(JSON_TYPE, LibreChatErrorBody, _error)


class FileQueryBody(ForeignBody):
    """A search of one file, of the user or of the agent ``entity_id``."""

    query: str
    file_id: str
    k: int = Field(4, ge=1)
    entity_id: str = ""


class FilesQueryBody(ForeignBody):
    """A search of several files."""

    query: str
    file_ids: list[str]
    k: int = Field(4, ge=1)


door = Door(tag="search", invalid=errors.InvalidQuery, problems=SEARCH_PROBLEMS, shape=SHAPE, read_body=foreign_json)
forms = Door(tag="search", problems=SEARCH_PROBLEMS, shape=SHAPE, read_body=foreign_json)
"""Its route under a path that takes JSON in another protocol."""


class _FormRoute(forms.route_class):  # type: ignore[misc,name-defined]  # a class that is made for each door
    is_variant: ClassVar = True

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found, child = super().matches(scope)
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        is_form = kind.partition(b";")[0].strip().lower() == FORM_TYPE.encode()
        return (found, child) if is_form else (Match.NONE, {})


forms.route_class = _FormRoute
doors: Final = (forms, door)


@route(forms, "POST", "/embed", scopes=("documents:write",), described=False)
async def embed_for_librechat(request: Request) -> Response:
    """Keep a file, and answer once it can be searched."""
    state, principal = state_of(request), principal_of(request)
    async with _file_of(request, principal) as file:
        batch = await read_chat_file(state.resources, principal, state.backlog, _collection(state), file)
    if batch.rejected and batch.rejected[0].code == _UNKNOWN_TYPE:
        return json_response(_kept(file, batch.rejected[0].message, known=False))
    await state.work.use_documents(principal, len(batch.documents))
    done = await submit_chat_file(
        state.resources,
        principal,
        _collection(state),
        batch,
        file.id,
        count=state.metrics.observe_documents,
        warn=state.metrics.observe_warning,
    )
    return json_response(_kept(file, await while_connected(request.receive, _failure_of(state, done.job_id))))


@route(door, "POST", "/text", scopes=("documents:write",), described=False)
async def read_text_for_librechat(request: Request) -> Response:
    """The text of a file, which is not kept."""
    principal = principal_of(request)
    async with _file_of(request, principal) as file:
        text = await text_of_upload(state_of(request).resources, principal, file)
    named = {FILE_FIELD: file.id, "filename": file.content.name, "known_type": True}
    return json_response({"text": text, **named})


@route(door, "POST", "/query", scopes=("search",), described=False)
async def query_file_for_librechat(body: FileQueryBody, request: Request) -> Response:
    """Passages of one file; none where the file is not there, or neither the user's nor the agent's."""
    principal = on_behalf_of(principal_of(request), body.entity_id)
    return json_response(await _passages(request, principal, body.query, [body.file_id], body.k))


@route(door, "POST", "/query_multiple", scopes=("search",), described=False)
async def query_files_for_librechat(body: FilesQueryBody, request: Request) -> Response:
    """Passages of several files; 404 where none is found."""
    found = await _passages(request, principal_of(request), body.query, body.file_ids, body.k)
    if not found:
        raise errors.DocumentNotFound("no documents were found for this query")
    return json_response(found)


@route(door, "GET", "/documents/{id}/context", scopes=("documents:read",), described=False)
async def read_context_for_librechat(id: DocumentId, request: Request) -> Response:
    """The whole text of a file, as one string."""
    state, principal = state_of(request), as_server(principal_of(request))
    return json_response(await text_of_chat_file(state.resources, principal, _collection(state), id))


@route(door, "DELETE", "/documents", scopes=("documents:write",), described=False)
async def delete_for_librechat(request: Request, body: list[str]) -> Response:
    """Delete files; 404 where one is not there."""
    state, principal = state_of(request), as_server(principal_of(request))
    job_id, missing = await delete_chat_files(state.resources, principal, _collection(state), body)
    if job_id:
        await while_connected(request.receive, _failure_of(state, job_id))
    if missing:
        raise missing_document(_collection(state), missing[0])
    return json_response({"message": f"Documents for {len(body)} file{'s' * (len(body) > 1)} deleted successfully"})


@route(door, "GET", "/health", scopes=(), described=False)
async def tell_librechat_health() -> Response:
    """That the service answers, which LibreChat asks before it sends a file."""
    return json_response({"status": "UP"})


def _collection(state: ServiceState) -> str:
    return state.settings.server.librechat_collection


@asynccontextmanager
async def _file_of(request: Request, principal: Principal) -> AsyncIterator[ChatFile]:
    """The file of a form, which is open for the length of the block.

    Raises:
        Problem: 400 or 415 for a body that is not a form.
        InvalidInput: the form has no file, or no id of it.
    """
    if content_type(request) != FORM_TYPE:
        raise Problem(UNSUPPORTED_MEDIA_TYPE, f"send Content-Type: {FORM_TYPE}, with the parts file_id and file")
    try:
        async with request.form(max_files=1, max_fields=_MAX_FIELDS) as form:
            yield _chat_file(form, principal)
    except HTTPException as error:
        if isinstance(error, Problem):
            raise
        raise Problem(INVALID_FORM, f"the body is not a form: {error.detail}") from error


def _chat_file(form: FormData, principal: Principal) -> ChatFile:
    upload, file_id, entity = form.get("file"), form.get(FILE_FIELD), form.get("entity_id")
    if not isinstance(upload, UploadFile) or not upload.filename:
        raise errors.InvalidInput("the form has no part file with a file name", location=("file",))
    if not isinstance(file_id, str) or not file_id:
        raise errors.InvalidInput("the form has no part file_id", location=(FILE_FIELD,))
    owner = str(entity or principal.subject) if is_of_librechat(principal) else ""
    return ChatFile(file_id, owner, as_upload(file_id, upload.filename, upload.content_type or "", upload.file))


async def _failure_of(state: ServiceState, job_id: str) -> str:
    """Wait until a file can be searched; returns why it cannot, empty where it can, or the service is about to stop."""
    jobs = state.resources.catalog.jobs
    job = await wait_for_job(jobs, job_id, stopping=state.is_draining)
    while job.status != "done" and not state.draining:
        job = await wait_for_job(jobs, job_id, stopping=state.is_draining)
    return job.failures[0].message if job.failures and not job.indexed + job.unchanged else ""


def _kept(file: ChatFile, failure: str, *, known: bool = True) -> dict[str, Any]:
    named = {FILE_FIELD: file.id, "filename": file.content.name, "known_type": known}
    return {"status": not failure, "message": failure or "File processed successfully.", **named}


async def _passages(
    request: Request, principal: Principal, query: str, file_ids: Sequence[str], k: int
) -> list[list[Any]]:
    """Passages with their distances, nearest first; none where no file has been kept yet."""
    state, name = state_of(request), _collection(state_of(request))
    principal.require("search", collection=name)
    try:
        collection = await state.resources.collections.get(name)
    except errors.CollectionNotFound:
        return []
    if FILE_FIELD not in collection.fields:
        return []
    named = {"type": "in", "key": FILE_FIELD, "value": list(file_ids)}
    body = SearchBody(query=query, top_n=min(k, _MOST), filter=named, group_by="chunk", highlight=False)
    asked = body.to_request(name, collection.fields, most=principal.max_top_n or _MOST)
    answer = await while_connected(request.receive, state.work.run_search(principal, asked))
    return [_passage(each) for each in answer.results]


def _passage(result: Result) -> list[Any]:
    """A passage and its distance, which LibreChat takes from 1 for the relevance that it shows and sorts by."""
    candidate, (start, end) = result.candidate, result.span
    score = result.relevance_score if result.relevance_score is not None else candidate.fused.score
    document_id = plain_id(candidate.document_id)
    metadata = {
        FILE_FIELD: document_id,
        SOURCE_KEY: candidate.title or document_id,
        **candidate.metadata,
        **candidate.chunk.place,
        "document_id": document_id,
        "url": address_of(candidate),
        "start": start,
        "end": end,
    }
    return [{"page_content": result.text, "metadata": metadata}, 1 - min(max(score, 0.0), 1.0)]
