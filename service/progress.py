"""Following a job: waiting for its end, or telling of every step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from service.lifespan import ServiceState
from winnow.ports import Job, JobCatalog

WAIT_SECONDS: Final = 60.0  # longest time that ?wait=true holds a request
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.25


async def wait_for_job(state: ServiceState, job_id: str, *, limit: float = WAIT_SECONDS) -> Job:
    """The job once it is done, or as it stands after ``limit`` seconds or when the service drains."""
    jobs, end, pause = state.resources.catalog.jobs, time.monotonic() + limit, _FIRST_PAUSE
    while True:
        job = await jobs.get(job_id)
        if job.status == "done" or state.draining or time.monotonic() >= end:
            return job
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


async def changes_of(state: ServiceState, jobs: JobCatalog, job: Job) -> AsyncIterator[Job]:
    """The job as it is now, then after every change, until it is done or the service drains."""
    yield job
    pause = _FIRST_PAUSE
    while job.status != "done" and not state.draining:
        await asyncio.sleep(pause)
        latest = await jobs.get(job.id)
        if latest != job:
            job, pause = latest, _FIRST_PAUSE
            yield job
        else:
            pause = min(pause * 1.5, _LONGEST_PAUSE)
