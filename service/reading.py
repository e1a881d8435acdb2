"""Answers that need the catalog alone: for the routes, and for commands while no service runs."""

from __future__ import annotations

from service.schemas.analytics import AnalyticsParameters, AnalyticsView
from service.schemas.audit import AuditList, AuditQuery
from service.schemas.collections import CollectionList, CollectionView
from service.schemas.jobs import JobList, JobQuery, JobView
from service.schemas.keys import KeyList, KeyView
from service.schemas.reembed import ReembedView
from service.schemas.rules import RulesView
from service.schemas.sources import SourceList, SourceView
from winnow.core.principal import Principal
from winnow.operations.analytics import see_analytics
from winnow.operations.audit import see_trail
from winnow.operations.collections import check_name, see_collection, see_collections
from winnow.operations.jobs import see_job, see_jobs
from winnow.operations.kept_sources import see_source, see_sources
from winnow.operations.keys import see_key, see_keys
from winnow.operations.reembed import stored_status
from winnow.operations.rules import see_rules
from winnow.ports import Catalog


async def read_collections(catalog: Catalog, principal: Principal) -> CollectionList:
    """Every collection, by name, with its counts."""
    found = await see_collections(catalog, principal)
    return CollectionList(collections=[CollectionView.counted(*each) for each in found])


async def read_collection(catalog: Catalog, principal: Principal, name: str) -> CollectionView:
    """One collection with its counts. Raises ``CollectionNotFound`` and ``InvalidCollection``."""
    return CollectionView.counted(*await see_collection(catalog, principal, name))


async def read_reembedding(catalog: Catalog, principal: Principal, name: str) -> ReembedView:
    """The progress of a re-embedding where no next model is configured. Raises as ``read_collection``."""
    check_name(name)
    return ReembedView.progress(await stored_status(catalog, principal, name))


async def read_sources(catalog: Catalog, principal: Principal, name: str) -> SourceList:
    """The sources that a collection keeps. Raises as ``read_collection``."""
    check_name(name)
    return SourceList(sources=[SourceView.shown(each) for each in await see_sources(catalog, principal, name)])


async def read_source(catalog: Catalog, principal: Principal, name: str, source_id: str) -> SourceView:
    """One source that a collection keeps. Raises as ``read_collection``, and ``SourceNotFound``."""
    check_name(name)
    return SourceView.shown(await see_source(catalog, principal, name, source_id))


async def read_rules_of(catalog: Catalog, principal: Principal, name: str) -> RulesView:
    """The rules of a collection. Raises as ``read_collection``."""
    check_name(name)
    return RulesView.shown(await see_rules(catalog, principal, name))


async def read_analytics(
    catalog: Catalog, principal: Principal, name: str, parameters: AnalyticsParameters, *, enabled: bool
) -> AnalyticsView:
    """What visitors of a collection did. Raises as ``read_collection``, and ``Forbidden``."""
    check_name(name)
    options = parameters.model_dump()
    return AnalyticsView.shown(await see_analytics(catalog, principal, name, **options), enabled=enabled)


async def read_jobs(catalog: Catalog, principal: Principal, query: JobQuery) -> JobList:
    """A page of jobs, newest first, without their failures. Raises ``CollectionNotFound``."""
    jobs = await see_jobs(
        catalog,
        principal,
        collection=query.collection,
        status=query.status,
        failed=query.failed,
        tenant=query.tenant,
        after=query.after,
        limit=query.limit + 1,
    )
    return JobList.page(jobs, query.limit)


async def read_job(catalog: Catalog, principal: Principal, job_id: str) -> JobView:
    """One job with its failures. Raises ``JobNotFound``."""
    return JobView.of(await see_job(catalog, principal, job_id))


async def read_keys(catalog: Catalog, principal: Principal) -> KeyList:
    """The keys that the principal may see."""
    return KeyList(keys=[KeyView.shown(key) for key in await see_keys(catalog, principal)])


async def read_key(catalog: Catalog, principal: Principal, key_id: str) -> KeyView:
    """One key. Raises ``KeyNotFound``."""
    return KeyView.shown(await see_key(catalog, principal, key_id))


async def read_trail(catalog: Catalog, principal: Principal, query: AuditQuery) -> AuditList:
    """A page of the audit trail. Raises ``Forbidden``."""
    events = await see_trail(
        catalog, principal, since=query.since, action=query.action, after=query.after, limit=query.limit + 1
    )
    return AuditList.page(events, query.limit)
