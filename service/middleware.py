"""ASGI middleware: request ids, common headers, access log, metrics, limits, and answers to unexpected exceptions."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from typing import Any, Final, TypeAlias

import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.binding import host_name, is_loopback
from service.errors import BODY_TOO_LARGE, INTERNAL, UNKNOWN_HOST, Problem, problem_response
from winnow.core.ids import new_id

MAX_REQUEST_ID_CHARS: Final = 128
_PREFIX: Final = re.compile(r"(/(?!\.+(/|$))[A-Za-z0-9._~-]+){1,8}")
Observe: TypeAlias = Callable[[str, str, int, float], None]  # method, route, status, seconds


class RequestContext:
    """Sets request ids and common headers, and logs and counts each exchange."""

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self.app = app
        self.observe = observe
        self.log: Any = structlog.get_logger("winnow.access")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status = 499  # the client disconnected before the answer

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            self._report(scope, status, time.perf_counter() - began)

    def _report(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self.observe(scope["method"], route, status, seconds)
        write = self.log.error if status >= 500 else self.log.info
        write("request", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 2))


class PathPrefix:
    """Puts the path prefix under which a proxy serves the service into the scope, as ASGI has it.

    ``root_path`` is the prefix, and ``path`` begins with it, whether the proxy stripped it or not. Without a configured
    prefix that of ``X-Forwarded-Prefix`` counts, which proxies send that stripped one: it is never taken off a path,
    so that a caller cannot disguise a path from rules of the proxy.

    Args:
        prefix: as configured; empty for none.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (prefix := self.prefix or _forwarded_prefix(scope)):
            path = scope["path"]
            if path == self.prefix:  # the page's own addresses are relative to the prefix with a slash
                await RedirectResponse(f"{prefix}/")(scope, receive, send)
                return
            stripped = not self.prefix or not path.startswith(f"{prefix}/")
            scope = {**scope, "root_path": prefix, "path": prefix + path if stripped else path}
        await self.app(scope, receive, send)


class UnhandledErrors:
    """Answers an unexpected exception with a problem without details, and logs it under the request's id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.log: Any = structlog.get_logger("winnow.errors")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watching(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watching)
        except ClientDisconnect:
            return  # the client disconnected while it sent the body
        except Exception:
            self.log.exception("unhandled", path=scope.get("path"))
            if started or scope["type"] != "http":
                raise
            problem = Problem(
                INTERNAL, "the service failed on this request; its log has the cause under the request id"
            )
            await problem_response(scope, problem)(scope, receive, send)


class HostGuard:
    """Refuses requests for hosts that the service does not answer for."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = host_name(Headers(scope=scope).get("host", "")) if scope["type"] == "http" else None
        if host is None or host in self.hosts or is_loopback(host):
            await self.app(scope, receive, send)
            return
        detail = (
            f"the service does not answer for host {host[:80]!r}, only for this machine; "
            "to allow it, add its origin to server.cors_origins"
        )
        await problem_response(scope, Problem(UNKNOWN_HOST, detail))(scope, receive, send)


class BodyLimit:
    """Refuses a body over ``max_bytes`` when it is read: at once by its declared length, else while it streams in."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        size = 0

        async def counted() -> Message:
            nonlocal size
            if declared.isdecimal() and int(declared) > self.max_bytes:
                raise self._problem()
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.max_bytes:
                raise self._problem()
            return message

        await self.app(scope, counted, send)

    def _problem(self) -> Problem:
        limit = self.max_bytes / 2**20
        detail = f"the body is larger than {limit:g} MiB; send fewer documents at once, or raise server.max_body_mb"
        return Problem(BODY_TOO_LARGE, detail, headers={"Connection": "close"})


def _forwarded_prefix(scope: Scope) -> str:
    """The prefix that a proxy says it stripped; empty where it says nothing, or nothing like a path."""
    given = Headers(scope=scope).get("x-forwarded-prefix", "").rstrip("/")
    return given if _PREFIX.fullmatch(given) else ""


def _request_id(scope: Scope) -> str:
    """The caller's ``X-Request-Id`` if it is printable and short, else a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    usable = 0 < len(given) <= MAX_REQUEST_ID_CHARS and given.isascii() and given.isprintable()
    return given if usable else new_id("req")
