"""``/v1/events`` and ``/v1/collections/{name}/analytics``: what visitors do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import StreamingResponse

from service.access import needs
from service.deps import CatalogDep, CollectionName, PrincipalDep, ResourcesDep, StateDep
from service.door import BODY_PROBLEMS, Door
from service.page_requests import is_by_address, require_search_only
from service.reading import read_analytics
from service.schemas.analytics import (
    AnalyticsParameters,
    AnalyticsView,
    DeletedAnalyticsView,
    DeletionParameters,
    EventsBody,
    ExportParameters,
    RejectedEventView,
    TakenEventsView,
)
from service.wire import NDJSON_TYPES, dumps
from winnow.core.errors import AnalyticsDisabled, CollectionNotFound, InvalidInput, UpstreamUnavailable
from winnow.operations.analytics import delete_analytics, export_analytics

events = Door("/v1/events", tag="analytics")
router = Door("/v1/collections/{name}/analytics", tag="analytics", problems=(CollectionNotFound, InvalidInput))
_LINES: dict[int | str, dict[str, Any]] = {200: {"content": {NDJSON_TYPES[0]: {"example": '{"id": "srch_…"}\n'}}}}


@events.post(
    "",
    status_code=202,
    responses=events.problems(*BODY_PROBLEMS, InvalidInput, AnalyticsDisabled, UpstreamUnavailable),
    openapi_extra=needs("search"),
)
async def post_events(body: EventsBody, request: Request, state: StateDep, principal: PrincipalDep) -> TakenEventsView:
    """Take clicks and conversions of visitors, from a page or a back end; what is accepted is stored.

    `navigator.sendBeacon` works: the body may come as `text/plain`, the token as `access_token` in the address.
    """
    if is_by_address(request.scope):
        require_search_only(principal)
    readable = body.readable()
    taken = await state.visitors.take(principal, [event for _, event in readable])
    rejected = [
        RejectedEventView(index=readable[each.index][0], code=each.code, message=each.message)
        for each in taken.rejected
    ]
    malformed = body.malformed()
    state.metrics.observe_event("rejected", len(malformed))
    rejected = sorted([*rejected, *malformed], key=lambda each: each.index)
    return TakenEventsView(accepted=taken.accepted, rejected=rejected)


@router.get("", responses=router.problems(), openapi_extra=needs("operate"))
async def get_analytics(
    name: CollectionName,
    parameters: Annotated[AnalyticsParameters, Query()],
    resources: ResourcesDep,
    principal: PrincipalDep,
) -> AnalyticsView:
    """Top queries, queries that found nothing or of which nothing was clicked, click positions, speed, days."""
    enabled = resources.settings.analytics.enabled
    return await read_analytics(resources.catalog, principal, name, parameters, enabled=enabled)


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={**_LINES, **router.problems()},
    openapi_extra=needs("operate"),
)
async def get_analytics_export(
    name: CollectionName,
    parameters: Annotated[ExportParameters, Query()],
    catalog: CatalogDep,
    principal: PrincipalDep,
) -> StreamingResponse:
    """Searches as JSON lines, oldest first, each with its events."""
    searches = await export_analytics(catalog, principal, name, days=parameters.days, tenant=parameters.tenant)
    return StreamingResponse(_lines(searches), media_type=NDJSON_TYPES[0])


@router.delete("", responses=router.problems(), openapi_extra=needs("operate"))
async def remove_analytics(
    name: CollectionName,
    parameters: Annotated[DeletionParameters, Query()],
    catalog: CatalogDep,
    principal: PrincipalDep,
) -> DeletedAnalyticsView:
    """Delete the searches and events of a collection, or those of one session."""
    chosen = {"tenant": parameters.tenant, "session": parameters.session}
    searches, gone = await delete_analytics(catalog, principal, name, **chosen)
    return DeletedAnalyticsView(searches=searches, events=gone)


async def _lines(searches: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    async for each in searches:
        yield dumps(each) + b"\n"
