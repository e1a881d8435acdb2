"""``/v1/jobs``: the progress of submissions; retry their failures, cancel them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Path, Query
from sse_starlette import EventSourceResponse, ServerSentEvent

from service.access import needs
from service.deps import CatalogDep, PrincipalDep, ResourcesDep, StateDep
from service.door import Door
from service.reading import read_job, read_jobs
from service.schemas.jobs import JobList, JobQuery, JobView, RetryView
from winnow.core.errors import CollectionNotFound, Conflict, InvalidInput, JobNotFound, StorageFull
from winnow.operations import jobs
from winnow.operations.scopes import FOLLOWING
from winnow.operations.submit import changes_of
from winnow.ports import Job

router = Door("/v1/jobs", tag="jobs", problems=(InvalidInput,))
JobId = Annotated[str, Path(examples=["job_01JY4W6V0T8Q3N5R7XKZB2C4DF"])]


@router.get("", responses=router.problems(CollectionNotFound), openapi_extra=needs(*FOLLOWING))
async def list_jobs(catalog: CatalogDep, principal: PrincipalDep, query: Annotated[JobQuery, Query()]) -> JobList:
    """Jobs, newest first, a page at a time, without their failures; ask for a single job to see those."""
    return await read_jobs(catalog, principal, query)


@router.post(
    "/{id}:retry",
    status_code=202,
    responses=router.problems(JobNotFound, StorageFull),
    openapi_extra=needs(*FOLLOWING),
)
async def retry_job(id: JobId, resources: ResourcesDep, principal: PrincipalDep) -> RetryView:
    """Retry the failed documents of a job with a new job, except those that were submitted again since."""
    submission = await jobs.retry_failures(resources, principal, id)
    return RetryView(job_id=submission.job_id or None, documents=submission.accepted)


@router.post(
    "/{id}:cancel", responses=router.problems(JobNotFound, Conflict, StorageFull), openapi_extra=needs(*FOLLOWING)
)
async def cancel_job(id: JobId, resources: ResourcesDep, principal: PrincipalDep) -> JobView:
    """Cancel the documents that wait; those that a worker is processing are finished.

    A document that was never indexed is deleted. A changed one is `failed` with the code `cancelled`, and its
    previous revision stays searchable. A job that deletes cannot be cancelled: 409.
    """
    return JobView.of(await jobs.cancel_pending(resources, principal, id))


@router.get("/{id}", responses=router.problems(JobNotFound), openapi_extra=needs(*FOLLOWING))
async def get_job(id: JobId, catalog: CatalogDep, principal: PrincipalDep) -> JobView:
    """The job's progress, with the documents that failed."""
    return await read_job(catalog, principal, id)


@router.get(
    "/{id}/events",
    response_class=EventSourceResponse,
    responses={
        200: {"content": {"text/event-stream": {"example": 'event: progress\ndata: {"status": "running", …}\n\n'}}},
        **router.problems(JobNotFound),
    },
    openapi_extra=needs(*FOLLOWING),
)
async def get_job_events(id: JobId, state: StateDep, principal: PrincipalDep) -> EventSourceResponse:
    """The job as server-sent events: ``progress`` at every change, ``done`` at the end."""
    catalog = state.resources.catalog
    job = await jobs.see_job(catalog, principal, id)
    return EventSourceResponse(_events(changes_of(catalog.jobs, job, stopping=lambda: state.draining)))


async def _events(changes: AsyncIterator[Job]) -> AsyncIterator[ServerSentEvent]:
    async for job in changes:
        name = "done" if job.status == "done" else "progress"
        yield ServerSentEvent(JobView.of(job).model_dump_json(), event=name)
