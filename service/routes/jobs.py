"""``/v1/jobs``: how far the work on a submission is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path
from sse_starlette import EventSourceResponse, ServerSentEvent

from retrieval.errors import InvalidInput, JobNotFound
from retrieval.ports import Job
from service.deps import CatalogDep, StateDep
from service.openapi import problems
from service.progress import changes_of
from service.schemas.jobs import JobView
from service.wire import StrictRoute

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute)
JobId = Annotated[str, Path(examples=["job_01JY4W6V0T8Q3N5R7XKZB2C4DF"])]


@router.get("/{id}", responses=problems(JobNotFound, InvalidInput))
async def get_job(id: JobId, catalog: CatalogDep) -> JobView:
    """How the job stands, with the documents that failed."""
    return JobView.of(await catalog.get_job(id))


@router.get(
    "/{id}/events",
    response_class=EventSourceResponse,
    responses={
        200: {"content": {"text/event-stream": {"example": 'event: progress\ndata: {"status": "running", …}\n\n'}}},
        **problems(JobNotFound, InvalidInput),
    },
)
async def get_job_events(id: JobId, catalog: CatalogDep, state: StateDep) -> EventSourceResponse:
    """The job as server-sent events: ``progress`` at every change, ``done`` at the end."""
    job = await catalog.get_job(id)
    return EventSourceResponse(_events(changes_of(state, catalog, job)))


async def _events(changes: AsyncIterator[Job]) -> AsyncIterator[ServerSentEvent]:
    async for job in changes:
        name = "done" if job.status == "done" else "progress"
        yield ServerSentEvent(JobView.of(job).model_dump_json(), event=name)
