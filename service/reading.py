"""Answers that need the catalog alone: for the routes, and for commands while no service runs."""

from __future__ import annotations

from service.schemas.collections import CollectionList, CollectionView
from service.schemas.jobs import JobList, JobQuery, JobView
from service.schemas.reembed import ReembedView
from winnow.operations.collections import check_name
from winnow.operations.reembed import stored_status
from winnow.ports import Catalog


async def read_collections(catalog: Catalog) -> CollectionList:
    """Every collection, by name, with its counts."""
    found = await catalog.collections.list_with_counts()
    return CollectionList(collections=[CollectionView.counted(*each) for each in found])


async def read_collection(catalog: Catalog, name: str) -> CollectionView:
    """One collection with its counts. Raises ``CollectionNotFound`` and ``InvalidCollection``."""
    check_name(name)
    return CollectionView.counted(*await catalog.collections.get_with_counts(name))


async def read_reembedding(catalog: Catalog, name: str) -> ReembedView:
    """The progress of a re-embedding where no next model is configured. Raises as ``read_collection``."""
    check_name(name)
    return ReembedView.progress(await stored_status(catalog, name))


async def read_jobs(catalog: Catalog, query: JobQuery) -> JobList:
    """A page of jobs, newest first, without their failures. Raises ``CollectionNotFound``."""
    jobs = await catalog.jobs.list(
        collection=query.collection, status=query.status, failed=query.failed, after=query.after, limit=query.limit + 1
    )
    return JobList.page(jobs, query.limit)


async def read_job(catalog: Catalog, job_id: str) -> JobView:
    """One job with its failures. Raises ``JobNotFound``."""
    return JobView.of(await catalog.jobs.get(job_id))
