"""A stub of somebody else's server: an aiohttp application on a free port of the loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Call:
    """What a client sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Stub:
    """A running server.

    Attributes:
        url: base address, without a trailing slash.
        calls: everything that came in, in order of arrival.
    """

    url: str
    calls: list[Call] = field(default_factory=list)

    @property
    def bodies(self) -> list[Any]:
        """The JSON bodies of the calls."""
        return [call.body for call in self.calls]


@asynccontextmanager
async def serve(handler: Handler) -> AsyncIterator[Stub]:
    """Answer every request with ``handler`` until the block ends. Header names are recorded in lower case."""
    stub = Stub("")

    async def record(request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        stub.calls.append(Call(request.method, request.path, headers, orjson.loads(raw) if raw else None))
        return await handler(request)

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", record)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        stub.url = f"http://{host}:{port}"
        yield stub
    finally:
        await runner.cleanup()


def reply(body: Any, status: int = 200, **headers: str) -> web.Response:
    """A JSON answer; underscores in header names stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=named)
