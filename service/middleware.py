"""ASGI middleware: request ids, common headers, access log, metrics, limits, and answers to unexpected exceptions."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Collection
from functools import cache
from typing import Any, Final

import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.binding import host_name, is_address, is_loopback
from service.cross_site import embedding_policy
from service.errors import (
    BODY_TOO_LARGE,
    INTERNAL,
    SHUTTING_DOWN,
    TOO_MANY_BODIES,
    UNKNOWN_HOST,
    Problem,
    problem_response,
)
from service.repeated_refusals import RepeatedRefusals
from service.request_fields import field_of, request_id_of
from service.shedding import TURNED_AWAY
from winnow.core.tracing import note_response, request_span
from winnow.operations.metrics import Metrics

HUNG_UP: Final = 499  # the client disconnected before the answer
HEALTH_PATHS: Final = ("/healthz", "/readyz")
PROBED: Final = (*HEALTH_PATHS, "/metrics")
_OF_A_COLLECTION: Final = "/v1/collections/{name}"
STATUS_SENT: Final = "status_sent"
"""In the state of a request whose answer has begun: its status."""
_PREFIX: Final = re.compile(r"(/(?!\.+(/|$))[A-Za-z0-9._~-]+){1,8}")


class RequestContext:
    """Sets request ids and the fields that all answers have, and logs and counts each exchange.

    It is outside of all that adds fields to answers, so that ``refusals`` are told of whole ones.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, is_ending: Callable[[], bool], refusals: RepeatedRefusals
    ) -> None:
        self.app = app
        self.is_ending = is_ending
        self.metrics = metrics
        self.refusals = refusals
        self.log: Any = structlog.get_logger("winnow.access")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = request_id_of(field_of(scope, b"x-request-id") or "")
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        policy = embedding_policy(scope)

        async def send_with_fields(message: Message) -> None:
            if message["type"] == "http.response.start":
                state[STATUS_SENT] = message["status"]
                fields = message["headers"] = list(message.get("headers", ()))
                given = [name for name, _ in fields]
                fields += [each for each in policy if each[0] not in given]
                fields += ((b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff"))
                if self.is_ending():  # the next request of this client finds another process
                    fields.append((b"connection", b"close"))
                if TURNED_AWAY in state:
                    principal, collection = state[TURNED_AWAY]
                    self.refusals.note(scope, principal, collection, fields)
            await send(message)

        self.metrics.in_flight.inc()
        span = request_span(scope["method"], Headers(scope=scope), traced=not scope["path"].endswith(PROBED))
        try:
            with span:
                try:
                    await self.app(scope, receive, send_with_fields)
                finally:
                    note_response(span, scope, state.get(STATUS_SENT, HUNG_UP))
        finally:
            self.metrics.in_flight.dec()
            self._report(scope, state.get(STATUS_SENT, HUNG_UP), time.perf_counter() - began)

    def _report(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self.metrics.observe_http(door_of(scope), route, scope["method"], status, seconds)
        write = self.log.error if status >= 500 else self.log.info
        if route in PROBED:  # readiness logs its changes with the reason
            write = self.log.debug
        where = {"collection": scope["path_params"]["name"][:64]} if route.startswith(_OF_A_COLLECTION) else {}
        write("request", method=scope["method"], route=route, **where, status=status, ms=round(seconds * 1000, 2))


def door_of(scope: Scope) -> str:
    """The door of a request, by the module of its handler: ``api``, ``page``, ``operations``, or another protocol's."""
    return _door_of_module(getattr(scope.get("endpoint"), "__module__", ""))


@cache
def _door_of_module(module: str) -> str:
    package, _, name = module.rpartition(".")
    if package == "service.doors":
        return name.removesuffix("_route")
    if package == "service.routes":
        return name if name in ("operations", "page") else "api"
    return "none"


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
    """Answers an unexpected exception with a problem without details, and logs it under the request's id.

    A request that is cut off because the process ends is told so.

    Args:
        is_ending: whether the process is about to stop.
    """

    def __init__(self, app: ASGIApp, is_ending: Callable[[], bool]) -> None:
        self.app = app
        self.is_ending = is_ending
        self.log: Any = structlog.get_logger("winnow.errors")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except ClientDisconnect:
            return  # the client disconnected while it sent the body
        except asyncio.CancelledError:
            if _cannot_be_answered(scope) or not self.is_ending():
                raise
            problem = Problem(SHUTTING_DOWN, SHUTTING_DOWN.summary, headers={"Retry-After": "1"})
            await problem_response(scope, problem)(scope, receive, send)
        except Exception:
            self.log.exception("unhandled", path=scope.get("path"))
            if _cannot_be_answered(scope):
                raise
            problem = Problem(
                INTERNAL, "the service failed on this request; its log has the cause under the request id"
            )
            await problem_response(scope, problem)(scope, receive, send)


def _cannot_be_answered(scope: Scope) -> bool:
    return scope["type"] != "http" or STATUS_SENT in scope["state"]


class HostGuard:
    """Refuses requests for hosts that the service does not answer for.

    Health checks without a host are answered, as load balancers send them.

    Args:
        hosts: names; ``*.example.com`` covers all under it.
        by_address: answer health checks that name an address, too, as those of Kubernetes do.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], *, by_address: bool) -> None:
        self.app = app
        self.hosts = hosts
        self.by_address = by_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_served(scope):
            await self.app(scope, receive, send)
            return
        detail = (
            f"the service does not answer for host {(field_of(scope, b'host') or '')[:80]!r}; "
            "to allow it, add it to server.allowed_hosts"
        )
        await problem_response(scope, Problem(UNKNOWN_HOST, detail))(scope, receive, send)

    def _is_served(self, scope: Scope) -> bool:
        host = host_name(field_of(scope, b"host") or "")
        if host in self.hosts or is_loopback(host):
            return True
        if scope["path"].endswith(HEALTH_PATHS) and (not host or (self.by_address and is_address(host))):
            return True
        return any(host.endswith(each[1:]) for each in self.hosts if each.startswith("*."))


class BodyLimit:
    """Refuses a body over ``max_bytes`` when it is read: at once by its declared length, else while it streams in.

    Of all requests under way the bodies that were read may have ``max_together`` bytes.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, max_together: int) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.max_together = max_together
        self.together = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = field_of(scope, b"content-length") or ""
        size = 0

        async def counted() -> Message:
            nonlocal size
            if declared.isdecimal() and int(declared) > self.max_bytes:
                raise self._problem()
            message = await receive()
            came = len(message.get("body", b""))
            size += came
            self.together += came
            if size > self.max_bytes:
                raise self._problem()
            if self.together > self.max_together:
                raise Problem(TOO_MANY_BODIES, TOO_MANY_BODIES.summary, headers={"Retry-After": "1"})
            return message

        try:
            await self.app(scope, counted, send)
        finally:
            self.together -= size

    def _problem(self) -> Problem:
        limit = self.max_bytes / 2**20
        detail = f"the body is larger than {limit:g} MiB; send fewer documents at once, or raise server.max_body_mb"
        return Problem(BODY_TOO_LARGE, detail, headers={"Connection": "close"})


def _forwarded_prefix(scope: Scope) -> str:
    """The prefix that a proxy says it stripped; empty where it says nothing, or nothing like a path."""
    given = (field_of(scope, b"x-forwarded-prefix") or "").rstrip("/")
    return given if _PREFIX.fullmatch(given) else ""
