"""``/v1/collections/{name}:verify``: whether catalog and points agree."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from sse_starlette import EventSourceResponse, ServerSentEvent

from service.deps import CollectionName, ResourcesDep
from service.door import BODY_PROBLEMS, Door
from service.errors import problem_from
from service.schemas.common import members
from service.schemas.operations import VerifyBody
from service.wire import dumps
from winnow.core.errors import CollectionNotFound, InvalidCollection, WinnowError
from winnow.operations.verify import Damage, InspectionProgress, Report, inspect_collection

router = Door("/v1/collections", tag="operations", invalid=InvalidCollection)


@router.post(
    "/{name}:verify",
    response_class=EventSourceResponse,
    responses={
        200: {"content": {"text/event-stream": {"example": 'event: done\ndata: {"sound": true, …}\n\n'}}},
        **router.problems(*BODY_PROBLEMS, CollectionNotFound, InvalidCollection),
    },
)
async def verify_collection(
    name: CollectionName, resources: ResourcesDep, body: VerifyBody | None = None
) -> EventSourceResponse:
    """Compare the catalog with the points while writes go on.

    Server-sent events: ``progress``, ``damage`` for each finding, and at the end ``done`` with the report, or
    ``problem`` if the check failed. With ``repair``, the worker indexes damaged documents again and removes orphaned
    points, in the jobs that the report names.
    """
    await resources.catalog.collections.get(name)
    repair = body is not None and body.repair
    news = inspect_collection(resources.catalog, resources.store, name, repair=repair)
    return EventSourceResponse(_events(news, resources))


async def _events(
    news: AsyncGenerator[InspectionProgress | Damage | Report, None], resources: ResourcesDep
) -> AsyncIterator[ServerSentEvent]:
    try:
        async with aclosing(news):
            async for item in news:
                yield _event(item)
    except WinnowError as error:
        problem = {"code": error.code, "status": problem_from(error).kind.status, "detail": error.message}
        yield ServerSentEvent(dumps(problem).decode(), event="problem")
    finally:
        resources.wake()


def _event(item: InspectionProgress | Damage | Report) -> ServerSentEvent:
    names = {InspectionProgress: "progress", Damage: "damage", Report: "done"}
    data = members(item)
    if isinstance(item, Report):
        data = {"collection": item.collection, "generations": item.generations, "sound": item.sound} | data
    return ServerSentEvent(dumps(data).decode(), event=names[type(item)])
