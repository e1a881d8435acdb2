"""Authentication: which principal a request comes from, before it is routed and before its body is read.

Every request needs a principal except those to ``OPEN_PATHS``, so a route that is forgotten here is closed.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias, cast

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import problem_from, problem_response
from winnow.core.errors import Unauthorized, WinnowError
from winnow.core.principal import LOCAL, Principal
from winnow.core.principal import Scope as AccessScope

# members of an operation in OpenAPI: the scopes of which one is needed, none for one that is open to all; and whether
# the credential must be for every collection and tenant
SCOPES_KEY: Final = "x-scope"
WHOLE_KEY: Final = "x-whole-installation"
OPEN_PATHS: Final = frozenset(
    {
        "/",
        "/health",
        "/healthz",
        "/readyz",
        "/docs",
        "/openapi.json",
        "/.well-known/jwks.json",
        "/llms.txt",
        "/analytics",
    }
)
OPEN_FOLDERS: Final = ("/static/", "/docs/assets/", "/widget/")
FindPrincipal: TypeAlias = Callable[[Mapping[str, str]], Awaitable[Principal]]
_READS: Final = ("GET", "HEAD")
_LOCAL: Final = "winnow.local"
_BEARER: Final = "send the header Authorization: Bearer <key>"
_KEY_IN_ADDRESS: Final = re.compile(rb"wnw_|(?:^|&)(?:key|api_?key|token|access_token)=", re.IGNORECASE)


def needs(*scopes: AccessScope, whole: bool = False, **described: Any) -> dict[str, Any]:
    """``openapi_extra`` of a route that needs one of these scopes, with further members; without scopes it is open.

    ``whole`` says that it needs a credential for every collection and tenant, which its use case checks.
    """
    return {**described, SCOPES_KEY: list(scopes), **({WHOLE_KEY: True} if whole else {})}


def principal_of(request: Request) -> Principal:
    """Who makes the request; raises ``KeyError`` on an open path."""
    return cast("Principal", request.scope["state"]["principal"])


class LocalCallers:
    """Marks every request to ``app`` as one of this machine: for an application behind a private socket."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[_LOCAL] = True
        await self.app(scope, receive, send)


class Authentication:
    """Names the principal of each request, or answers 401.

    Args:
        routes: name the error shape of an answer.
        find: the principal of the request's headers, or a ``WinnowError``.
        refused: is told of an error.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Sequence[BaseRoute],
        find: FindPrincipal,
        refused: Callable[[Scope, Exception], None],
    ) -> None:
        self.app = app
        self.routes = routes
        self.find = find
        self.refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", "")) if scope["type"] == "http" else ""
        if scope["type"] != "http" or is_open(scope["method"], path):
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        try:
            principal = LOCAL if scope.get(_LOCAL) else await self.find(Headers(scope=scope))
        except WinnowError as error:
            match_route(self.routes, scope)
            if isinstance(error, Unauthorized):
                error = _misplaced(scope) or error
            self.refused(scope, error)
            await problem_response(scope, problem_from(error))(scope, receive, send)
            return
        state["principal"] = replace(principal, request_id=state.get("request_id", ""))
        await self.app(scope, receive, send)


def _misplaced(scope: Scope) -> Unauthorized | None:
    """The error for a key where none is read."""
    headers = Headers(scope=scope)
    if "authorization" in headers:
        return None
    if _KEY_IN_ADDRESS.search(scope["query_string"]):
        return Unauthorized(f"a key in the address is not read, and others may have logged it: {_BEARER}")
    return Unauthorized(f"the header X-API-Key is not read: {_BEARER}") if "x-api-key" in headers else None


def is_open(method: str, path: str) -> bool:
    """Whether a request needs no credential."""
    return method == "OPTIONS" or (method in _READS and (path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)))


def match_route(routes: Sequence[BaseRoute], scope: Scope) -> None:
    """Note the route that the request is for, as routing would have done."""
    for route in routes:
        found, child = route.matches(scope)
        if found is not Match.NONE:
            scope.update({**child, "route": route})
            return
