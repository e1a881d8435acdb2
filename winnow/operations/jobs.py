"""Following jobs, retrying their failures, cancelling them."""

from __future__ import annotations

from collections.abc import Sequence

from winnow.core.access import sees_all_tenants, view_of
from winnow.core.missing import missing_job, withheld
from winnow.core.principal import EVERY_COLLECTION, Principal
from winnow.core.types import JobStatus
from winnow.operations.audit import audited
from winnow.operations.resources import Resources
from winnow.operations.scopes import FOLLOWING
from winnow.operations.submit import INTERACTIVE
from winnow.ports import Catalog, Job, Submission


async def see_jobs(
    catalog: Catalog,
    principal: Principal,
    *,
    collection: str | None = None,
    status: JobStatus | None = None,
    failed: bool = False,
    after: str = "",
    limit: int = 100,
    tenant: str | None = None,
) -> Sequence[Job]:
    """Jobs of the collections and tenants that the principal sees, newest first, without their failures.

    Raises:
        CollectionNotFound: of a collection that is named.
        Forbidden: the principal may not name the tenant.
    """
    principal.require(*FOLLOWING, collection=collection)
    among = None
    if collection is None and principal.collections != EVERY_COLLECTION:
        among = [each.name for each in await catalog.collections.list() if principal.sees(each.name)]
    return await catalog.jobs.list(
        collection=collection,
        among=among,
        status=status,
        failed=failed,
        after=after,
        limit=limit,
        tenant=_tenant_seen(principal, tenant),
    )


async def see_job(catalog: Catalog, principal: Principal, job_id: str) -> Job:
    """One job with its failures. Raises ``JobNotFound``, also for a job of a collection that is not seen."""
    principal.require(*FOLLOWING)
    job = await catalog.jobs.get(job_id)
    own = _tenant_seen(principal, None)
    if not principal.sees(job.collection) or own not in (None, job.tenant):
        raise withheld(missing_job(job_id))
    return job


def _tenant_seen(principal: Principal, tenant: str | None) -> str | None:
    """The tenant whose jobs are asked for; ``None`` for those of all, also of several at once."""
    if tenant is None and sees_all_tenants(principal):
        return None
    return view_of(principal, tenant).tenant


async def retry_failures(resources: Resources, principal: Principal, job_id: str) -> Submission:
    """Retry the failed documents of a job with a new job. Raises as ``see_job``."""
    catalog = resources.catalog
    job = await see_job(catalog, principal, job_id)
    async with audited(catalog.trail, principal, "jobs.retry", collection=job.collection) as details:
        submission = await catalog.jobs.retry(job_id, priority=INTERACTIVE)
        details.update(job=job_id, retried_as=submission.job_id, documents=submission.accepted)
    resources.wake()
    return submission


async def cancel_pending(resources: Resources, principal: Principal, job_id: str) -> Job:
    """Cancel the documents that wait. Raises as ``see_job``, and ``Conflict`` for a job that deletes."""
    catalog = resources.catalog
    collection = (await see_job(catalog, principal, job_id)).collection
    async with audited(catalog.trail, principal, "jobs.cancel", collection=collection) as details:
        details["job"] = job_id
        job = await catalog.jobs.cancel(job_id)
    resources.wake()
    return job
