"""The FastAPI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute

from service.access import Authentication
from service.binding import is_loopback, served_hosts
from service.client_paths import ClientPaths
from service.cors import Cors
from service.cross_site import CrossSite
from service.direct_route import DirectRoute
from service.door import Door
from service.doors import all_doors
from service.doors.mcp_route import McpRoute
from service.errors import install_error_handlers
from service.head_requests import HeadRequests
from service.lifespan import ServiceState
from service.middleware import BodyLimit, HostGuard, PathPrefix, RequestContext, UnhandledErrors
from service.nearest_shape import NearestShape
from service.openapi import TAGS, install_openapi
from service.page_requests import PageRequests
from service.quotas import RequestQuota
from service.repeated_refusals import RepeatedRefusals
from service.routes import (
    analytics,
    audit,
    collections,
    documents,
    facets,
    jobs,
    keys,
    many_searches,
    operations,
    reembed,
    rules,
    search,
    sources,
    suggestions,
    tokens,
)
from service.routes.page import install_page
from service.routes.widget import install_widget
from service.shedding import EarlyRefusal
from winnow.core.package import winnow_version
from winnow.core.settings import Settings
from winnow.operations.metrics import Metrics
from winnow.operations.resources import OpenResources, Resources


def create_app(settings: Settings, resources: Resources | OpenResources, *, doors: Iterable[Door] = ()) -> FastAPI:
    """Build the service.

    Args:
        settings: the settings of the process.
        resources: open resources, which their owner closes, or a function that opens them while the service runs.
        doors: further routes, of other protocols.
    """
    metrics = Metrics(CollectorRegistry(), budget_ms=settings.search.budget_ms)
    metrics.describe(settings, winnow_version())
    state = ServiceState(settings, metrics, resources)
    mcp = McpRoute(winnow_version())
    app = FastAPI(
        title="Winnow",
        summary="Two-stage semantic search: retrieve, rerank, and report on each stage.",
        version=winnow_version(),
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # winnow.core.tracing has its own
        lifespan=lambda _: _running(state, mcp),
        generate_unique_id_function=lambda route: route.name,  # generated clients name their methods by it
    )
    app.state.service = state
    searches = (search, many_searches, suggestions, facets)
    others = (
        documents,
        collections,
        jobs,
        reembed,
        rules,
        sources,
        keys,
        tokens,
        analytics,
        audit,
        operations,
    )
    # requests are matched with one router after the other: what is called most comes first
    routers = [*(module.router for module in searches), *all_doors(), *doors]
    mcp_route = mcp.install(app)
    routers += [*(module.router for module in others), analytics.events]
    for router in routers:
        app.include_router(router)
    app.router.routes.insert(0, DirectRoute(search.posted))
    install_openapi(app, routers)
    install_widget(app)
    install_page(app)
    routes = [mcp_route, *(route for router in routers for route in router.routes)]
    app.state.nearest_shape = NearestShape(routes)
    install_error_handlers(app, state.callers.note_error)
    _surround(app, settings, state, routes)
    return app


@asynccontextmanager
async def _running(state: ServiceState, mcp: McpRoute) -> AsyncIterator[None]:
    async with state.running(), mcp.running():
        yield


def _surround(app: FastAPI, settings: Settings, state: ServiceState, routes: Sequence[BaseRoute]) -> None:
    """Put the middleware around the routes; the last one added is outermost."""
    server = settings.server
    most = server.max_body_mb * 2**20
    app.add_middleware(HeadRequests)
    app.add_middleware(BodyLimit, max_bytes=most, max_together=max(most, server.max_bodies_mb * 2**20))
    app.add_middleware(EarlyRefusal, routes=routes, refusal=state.work.refusal)
    app.add_middleware(RequestQuota, routes=routes, use=state.work.use_request)
    app.add_middleware(Authentication, routes=routes, find=state.callers.principal_of, refused=state.callers.note_error)
    app.add_middleware(PageRequests)
    app.add_middleware(UnhandledErrors, is_ending=state.is_draining)
    app.add_middleware(Cors, allowed=state.callers.allowed_origins)
    app.add_middleware(CrossSite, allowed=state.callers.allowed_origins)
    hosts = served_hosts(server)
    if hosts is not None:
        app.add_middleware(HostGuard, hosts=hosts, by_address=not is_loopback(server.host))
    app.state.refusals = RepeatedRefusals(state.work.refusal, state.metrics, state.is_draining)
    app.add_middleware(RequestContext, metrics=state.metrics, is_ending=state.is_draining, refusals=app.state.refusals)
    app.add_middleware(ClientPaths, routes=routes)
    app.add_middleware(PathPrefix, prefix=server.root_path)
