"""Middleware that turns searches away while more of them wait than will be answered soon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access import match_route
from service.errors import problem_from, problem_response
from winnow.core.errors import Overloaded
from winnow.core.principal import Principal

Refusal: TypeAlias = Callable[[Principal], Overloaded | None]
SEARCH_PATH: Final = "/v1/collections/{name}/search"
TURNED_AWAY: Final = "turned_away"
"""In the state of a request that was: the principal, and the name of the collection."""
_START, _, _END = SEARCH_PATH.partition("{name}")


class EarlyRefusal:
    """Answers 429 to a search that has to be turned away, before it is routed and its body is read.

    A refusal costs a fraction of what it costs behind these, which is left for the searches that are answered.

    Args:
        routes: those of searches are among them; they name the error shape of an answer.
        refusal: the error, where a caller's search is turned away whatever its budget; counts it.
    """

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute], refusal: Refusal) -> None:
        self.app = app
        self.routes = [route for route in routes if getattr(route, "path", "") == SEARCH_PATH]
        self.refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal: Principal | None = scope.get("state", {}).get("principal")
        error = None
        if principal is not None and scope["path"].endswith(_END) and _START in scope["path"]:
            error = self.refusal(principal)
        if error is not None:
            match_route(self.routes, scope)
        if error is None or "route" not in scope:
            await self.app(scope, receive, send)
        else:
            scope["state"][TURNED_AWAY] = principal, scope["path_params"]["name"]
            await problem_response(scope, problem_from(error))(scope, receive, send)
