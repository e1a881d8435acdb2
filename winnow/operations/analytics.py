"""Reading, exporting and deleting what visitors do: searches, clicks and conversions of a collection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from winnow.core.clock import Clock, utc_now
from winnow.core.errors import Forbidden, WinnowError
from winnow.core.principal import Principal
from winnow.core.tenancy import check_tenant
from winnow.operations.audit import audited
from winnow.ports import AnalyticsScope, AnalyticsSummary, Catalog

DEFAULT_DAYS: Final = 30
MAX_DAYS: Final = 3650
MAX_QUERIES: Final = 1000
RETENTION_SECONDS: Final = 600.0
_ROWS: Final = 1000
_PAGE: Final = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AnalyticsReport:
    """What visitors of a collection did from ``since`` to ``until``; of one tenant, or of all (``None``)."""

    collection: str
    since: datetime
    until: datetime
    tenant: str | None
    summary: AnalyticsSummary


async def see_analytics(
    catalog: Catalog,
    principal: Principal,
    name: str,
    *,
    days: float = DEFAULT_DAYS,
    limit: int = 10,
    tenant: str | None = None,
    clock: Clock = utc_now,
) -> AnalyticsReport:
    """Count the searches and events of the last ``days``, ``limit`` queries of each list.

    Raises:
        CollectionNotFound: the collection does not exist, or the principal does not see it.
        Forbidden: the principal sees another tenant, or a part of the documents.
    """
    until = clock()
    scope = await _scope(catalog, principal, name, tenant, until - timedelta(days=days))
    summary = await catalog.analytics.summary(scope, limit=limit)
    return AnalyticsReport(name, scope.since, until, scope.tenant, summary)


async def export_analytics(
    catalog: Catalog,
    principal: Principal,
    name: str,
    *,
    days: float = MAX_DAYS,
    tenant: str | None = None,
    clock: Clock = utc_now,
) -> AsyncIterator[dict[str, Any]]:
    """The searches of the last ``days``, oldest first, each with its events; ready to be written as JSON.

    Raises as ``see_analytics``, before the first one.
    """
    scope = await _scope(catalog, principal, name, tenant, clock() - timedelta(days=days))
    async with audited(catalog.trail, principal, "analytics.export", collection=name) as details:
        details.update(days=days, of_tenant=scope.tenant)
    return _exported(catalog, scope)


async def delete_analytics(
    catalog: Catalog, principal: Principal, name: str, *, tenant: str | None = None, session: str | None = None
) -> tuple[int, int]:
    """Delete the searches and events of a collection, or those of a session; return the number of each.

    Raises as ``see_analytics``.
    """
    scope = await _scope(catalog, principal, name, tenant, utc_now())
    async with audited(catalog.trail, principal, "analytics.delete", collection=name) as details:
        deleting = catalog.analytics.delete(scope.collection_uid, tenant=scope.tenant, session=session)
        searches, events = await deleting
        details.update(searches=searches, events=events, of_session=session is not None, of_tenant=scope.tenant)
    return searches, events


class AnalyticsRetention:
    """Deletes searches and events whose time is over, every ten minutes while a service runs.

    Args:
        catalog: the open catalog; raises ``UpstreamUnavailable`` while it is not open.
        days: how long they are kept.
        clock: the time of day.
    """

    def __init__(self, catalog: Callable[[], Catalog], *, days: float, clock: Clock = utc_now) -> None:
        self._catalog = catalog
        self._kept = timedelta(days=days)
        self._clock = clock
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in a task."""
        self._task = asyncio.create_task(self._run(), name="analytics-retention")

    async def close(self) -> None:
        """End the task, after the deletion that is under way."""
        self._stopped.set()
        if self._task is not None:
            await self._task

    async def run_once(self) -> None:
        """Delete what is due, a bounded number of rows at a time."""
        while await self._catalog().analytics.prune(before=self._clock() - self._kept, limit=_ROWS) >= _ROWS:
            pass

    async def _run(self) -> None:
        while not self._stopped.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), RETENTION_SECONDS)
            if not self._stopped.is_set():
                try:
                    await self.run_once()
                except WinnowError as error:
                    log.warning("old searches and events are not deleted: %s", error.message)


async def _scope(
    catalog: Catalog, principal: Principal, name: str, tenant: str | None, since: datetime
) -> AnalyticsScope:
    """The part of a collection's record that a principal may see."""
    principal.require("operate", collection=name)
    if principal.locked_filter is not None:
        raise Forbidden(f"{principal.described} sees a part of the documents; searches are recorded over all of them")
    if tenant is not None:
        check_tenant(tenant)
        if principal.tenant not in (None, tenant):
            message = f"{principal.described} is bound to the tenant {principal.tenant!r} and cannot name {tenant!r}"
            raise Forbidden(message, location=("tenant",))
    collection = await catalog.collections.get(name)
    return AnalyticsScope(collection.uid, since, tenant if principal.tenant is None else principal.tenant)


async def _exported(catalog: Catalog, scope: AnalyticsScope) -> AsyncIterator[dict[str, Any]]:
    after = ""
    while searches := await catalog.analytics.searches(scope, after=after, limit=_PAGE):
        events: dict[str, list[dict[str, Any]]] = {}
        for event in await catalog.analytics.events_of(scope, [each.id for each in searches]):
            members = {name: value for name, value in asdict(event).items() if name not in _OF_SEARCH}
            events.setdefault(event.search_id, []).append(members | {"at": event.at.isoformat()})
        for each in searches:
            members = {name: value for name, value in asdict(each).items() if name not in _INTERNAL}
            yield members | {"at": each.at.isoformat(), "events": events.get(each.id, [])}
        after = searches[-1].id


_INTERNAL: Final = ("collection_uid", "audience")
_OF_SEARCH: Final = ("search_id", "collection_uid", "tenant")
