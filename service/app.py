"""The FastAPI application."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry

from service.binding import served_hosts
from service.errors import install_error_handlers
from service.lifespan import ServiceState, lifespan_of
from service.limits import BodyLimit
from service.middleware import HostGuard, Observe, RequestContext, UnhandledErrors
from service.openapi import TAGS, install_openapi
from service.routes import backup, collections, documents, jobs, operations, reembed, search, verify
from service.routes.page import install_page
from winnow.core.settings import ServerSettings, Settings
from winnow.operations.resources import OpenResources, Resources
from winnow.search.instrument import Metrics


def create_app(settings: Settings, resources: Resources | OpenResources) -> FastAPI:
    """Build the service.

    Args:
        settings: what is in force.
        resources: open resources, which their owner closes, or what opens them for as long as the service runs.
    """
    state = ServiceState(settings, Metrics(CollectorRegistry()), resources)
    app = FastAPI(
        title="Winnow",
        summary="Two-stage semantic search: retrieve, rerank, and say what each stage did.",
        version=_version(),
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan_of(state),
        generate_unique_id_function=_operation_id,
    )
    app.state.service = state
    for resource in (search, documents, collections, jobs, reembed, operations, verify, backup):
        app.include_router(resource.router)
    install_openapi(app)
    install_page(app)
    install_error_handlers(app)
    _surround(app, settings.server, state.metrics.observe_http)
    return app


def _surround(app: FastAPI, server: ServerSettings, observe: Observe) -> None:
    """Put the middleware around the routes; what is added last is outermost."""
    app.add_middleware(BodyLimit, max_bytes=server.max_body_mb * 2**20)
    app.add_middleware(UnhandledErrors)
    if server.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(server.cors_origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-Id"],
            expose_headers=["X-Request-Id", "Retry-After"],
        )
    hosts = served_hosts(server)
    if hosts is not None:
        app.add_middleware(HostGuard, hosts=hosts)
    app.add_middleware(RequestContext, observe=observe)


def _operation_id(route: APIRoute) -> str:
    """The handler's name: what generated clients call the method."""
    return route.name


def _version() -> str:
    try:
        return version("winnow-search")
    except PackageNotFoundError:
        return "0+source"  # run from a checkout that is not installed
