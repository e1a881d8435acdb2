"""``/v1/jobs``: how far the work on a submission is; trying its failures again, cancelling it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Query
from sse_starlette import EventSourceResponse, ServerSentEvent

from service.deps import CatalogDep, StateDep
from service.openapi import problems
from service.progress import changes_of
from service.schemas.jobs import JobList, JobQuery, JobView, RetryView
from service.submission import INTERACTIVE
from service.wire import StrictRoute
from winnow.core.errors import CollectionNotFound, Conflict, InvalidInput, JobNotFound, StorageFull
from winnow.ports import Job

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute)
JobId = Annotated[str, Path(examples=["job_01JY4W6V0T8Q3N5R7XKZB2C4DF"])]


@router.get("", responses=problems(CollectionNotFound, InvalidInput))
async def list_jobs(catalog: CatalogDep, query: Annotated[JobQuery, Query()]) -> JobList:
    """Jobs, newest first, a page at a time; without their failures, which a single job tells."""
    jobs = await catalog.jobs.list(
        collection=query.collection, status=query.status, failed=query.failed, after=query.after, limit=query.limit + 1
    )
    return JobList.page(jobs, query.limit)


@router.post("/{id}:retry", status_code=202, responses=problems(JobNotFound, InvalidInput, StorageFull))
async def retry_job(id: JobId, state: StateDep) -> RetryView:
    """Try the documents of a job again that failed, with a new job; not those that were handed in again since."""
    submission = await state.resources.catalog.jobs.retry(id, priority=INTERACTIVE)
    state.resources.wake()
    return RetryView(job_id=submission.job_id or None, documents=submission.accepted)


@router.post("/{id}:cancel", responses=problems(JobNotFound, Conflict, InvalidInput, StorageFull))
async def cancel_job(id: JobId, state: StateDep) -> JobView:
    """Take back what has not been carried out; what a worker has in hand is finished.

    A document that was never indexed is deleted. A changed one is `failed` with the code `cancelled`, and what was
    indexed before stays searchable. A job that deletes cannot be cancelled: 409.
    """
    job = await state.resources.catalog.jobs.cancel(id)
    state.resources.wake()
    return JobView.of(job)


@router.get("/{id}", responses=problems(JobNotFound, InvalidInput))
async def get_job(id: JobId, catalog: CatalogDep) -> JobView:
    """How the job stands, with the documents that failed."""
    return JobView.of(await catalog.jobs.get(id))


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
    job = await catalog.jobs.get(id)
    return EventSourceResponse(_events(changes_of(state, catalog.jobs, job)))


async def _events(changes: AsyncIterator[Job]) -> AsyncIterator[ServerSentEvent]:
    async for job in changes:
        name = "done" if job.status == "done" else "progress"
        yield ServerSentEvent(JobView.of(job).model_dump_json(), event=name)
