"""Routes for operators: health, readiness, metrics, the integrity check and the backup."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Annotated, Final

from fastapi import Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import iterate_in_threadpool

from service.access import needs
from service.deps import CollectionName, PrincipalDep, ResourcesDep, StateDep
from service.door import BODY_PROBLEMS, Door
from service.errors import UNSUPPORTED_MEDIA_TYPE, problem_from
from service.operations_port import METRICS_TYPE, status_of
from service.schemas.common import members
from service.schemas.operations import Health, Readiness, Stalled, VerifyBody
from service.wire import dumps, require_json
from winnow.core import errors
from winnow.core.principal import Principal
from winnow.core.tenancy import split_id
from winnow.operations.archive import files_of, pack
from winnow.operations.backup import copied
from winnow.operations.rebuild import make_again
from winnow.operations.resources import Resources
from winnow.operations.verify import Damage, InspectionProgress, Report, inspect_collection

router = Door(tag="operations", invalid=errors.InvalidCollection)
SIZE_HEADER: Final = "X-Winnow-Backup-Bytes"


@router.get(
    "/healthz",
    responses={
        503: {"model": Stalled, "description": "A worker in this process makes no progress: start it again."},
        **router.problems(public=True),
    },
    response_model=Health,
    openapi_extra=needs(),
)
async def healthz(state: StateDep) -> Health | JSONResponse:
    """Whether the process is alive, and its worker, if it has one, makes progress; asks no dependency."""
    reason = state.stalled()
    return Health() if reason is None else JSONResponse(Stalled(reason=reason).model_dump(), 503)


@router.get(
    "/readyz",
    responses={
        503: {"model": Readiness, "description": "The failing dependency is named."},
        **router.problems(errors.InvalidCollection, public=True),
    },
    openapi_extra=needs(),
)
async def readyz(
    state: StateDep,
    response: Response,
    strict: Annotated[bool, Query(description="answer 503 where a model is down, too")] = False,
) -> Readiness:
    """Whether searches can be answered: checks every dependency. Store and catalog decide; a model is named."""
    readiness = await state.readiness()
    response.status_code, headers = status_of(readiness, strict=strict)
    response.headers.update(headers)
    return readiness


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"example": "winnow_search_seconds_count 42.0\n"}}},
        **router.problems(),
    },
    openapi_extra=needs("operate"),
)
async def metrics(state: StateDep) -> Response:
    """Metrics in Prometheus' text format."""
    return Response(await state.metrics.text(), media_type=METRICS_TYPE)


@router.post(
    "/v1/collections/{name}:verify",
    response_class=EventSourceResponse,
    responses={
        200: {"content": {"text/event-stream": {"example": 'event: done\ndata: {"sound": true, …}\n\n'}}},
        **router.problems(*BODY_PROBLEMS, errors.CollectionNotFound, errors.InvalidCollection),
    },
    openapi_extra=needs("operate"),
)
async def verify_collection(
    name: CollectionName, resources: ResourcesDep, principal: PrincipalDep, body: VerifyBody | None = None
) -> EventSourceResponse:
    """Compare the catalog with the points while writes go on.

    Server-sent events: ``progress``, ``damage`` for each finding, and at the end ``done`` with the report, or
    ``problem`` if the check failed. With ``repair``, the worker indexes damaged documents again and removes orphaned
    points, in the jobs that the report names.
    """
    principal.require("operate", collection=name)
    await resources.catalog.collections.get(name)
    repair = body is not None and body.repair
    news = inspect_collection(
        resources.catalog, resources.store, principal, name, repair=repair, make_again=partial(make_again, resources)
    )
    return EventSourceResponse(_events(news, resources))


@router.post(
    "/v1/backup",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}, "example": "…"}},
            "headers": {SIZE_HEADER: {"description": "bytes of all files in it", "schema": {"type": "integer"}}},
        },
        **router.problems(
            UNSUPPORTED_MEDIA_TYPE,
            errors.Conflict,
            errors.StorageFull,
            errors.UpstreamUnavailable,
            errors.InvalidSettings,
        ),
    },
    openapi_extra=needs("operate", whole=True),
)
async def make_backup(request: Request, resources: ResourcesDep, principal: PrincipalDep) -> StreamingResponse:
    """A consistent copy of catalog and vectors as a tar, the manifest last. Searches and uploads go on meanwhile.

    Installations on servers are backed up with the servers' own tools. Send `Content-Type: application/json`.
    """
    require_json(request)
    pieces = _pieces(resources, principal)
    size = await anext(pieces)  # the copy is complete: errors up to here are still answered with a status
    return StreamingResponse(pieces, media_type="application/x-tar", headers={SIZE_HEADER: size.decode()})


async def _events(
    news: AsyncGenerator[InspectionProgress | Damage | Report, None], resources: ResourcesDep
) -> AsyncIterator[ServerSentEvent]:
    try:
        async with aclosing(news):
            async for item in news:
                yield _event(item)
    except errors.WinnowError as error:
        problem = {"code": error.code, "status": problem_from(error).kind.status, "detail": error.message}
        yield ServerSentEvent(dumps(problem).decode(), event="problem")
    finally:
        resources.wake()


def _event(item: InspectionProgress | Damage | Report) -> ServerSentEvent:
    names = {InspectionProgress: "progress", Damage: "damage", Report: "done"}
    data = members(item)
    if isinstance(item, Damage):
        data["tenant"], data["document_id"] = split_id(item.document_id)
    if isinstance(item, Report):
        data = {"collection": item.collection, "generations": item.generations, "sound": item.sound} | data
        data["lost"] = [{"generation": each, "reason": reason} for each, reason in item.lost.items()]
    return ServerSentEvent(dumps(data).decode(), event=names[type(item)])


async def _pieces(resources: Resources, principal: Principal) -> AsyncGenerator[bytes, None]:
    """Yield the size of all files in digits, then the tar. The copy is removed at the end or when the client leaves."""
    async with copied(resources, principal) as folder:
        size = sum((folder / name).stat().st_size for name in files_of(folder))
        yield str(size).encode()
        async for piece in iterate_in_threadpool(pack(folder)):
            yield piece
