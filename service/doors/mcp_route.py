"""``/mcp``: the Model Context Protocol over streamable HTTP.

The SDK takes a second and 25 MB to load, so it is loaded by the first request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Final

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from service.doors.shapes import JSON_RPC
from service.lifespan import ServiceState

PATH: Final = "/mcp"


class _JsonRpcRoute(Route):
    """A route of JSON-RPC: errors of the middleware, such as a missing key, have its shape."""

    error_shape = JSON_RPC


class McpRoute:
    """Answers requests for as long as ``running`` is entered.

    Args:
        version: of the service, as clients are told.
    """

    def __init__(self, version: str) -> None:
        self._version = version
        self._loading: asyncio.Task[ASGIApp] | None = None
        self._serving: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    def install(self, app: FastAPI) -> Route:
        """Add the route, and return it."""
        route = _JsonRpcRoute(PATH, endpoint=self, include_in_schema=False)
        app.router.routes.append(route)
        return route

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """End what the first request started."""
        try:
            yield
        finally:
            self._stop.set()
            if self._serving is not None:
                await self._serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(scope["app"].state.service))
        app = await asyncio.shield(self._loading)
        await app(scope, receive, send)

    async def _load(self, state: ServiceState) -> ASGIApp:
        door = await asyncio.to_thread(import_module, "service.doors.mcp")
        server = door.build_server(self._version, state)
        app: ASGIApp = door.over_http(server, PATH)
        started = asyncio.Event()

        async def serve() -> None:
            async with server.session_manager.run():
                started.set()
                await self._stop.wait()

        self._serving = asyncio.create_task(serve())
        await started.wait()
        return app
