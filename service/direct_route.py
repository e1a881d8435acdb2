"""The way to a handler that is asked by the keystroke: FastAPI's own costs as much as an instant search does.

FastAPI asks router after router for a route, opens two exit stacks, and looks for dependencies, forms and streams, of
which such a handler has none.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request, Response
from pydantic import BaseModel, ValidationError
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from service.access import principal_of
from service.door import DoorRoute
from service.wire import replayed
from winnow.operations.collections import check_name

_METHOD: Final = "POST"


class DirectRoute(BaseRoute):
    """Answers a ``DoorRoute`` whose handler takes a collection's name, a body and the request.

    What the route declares holds: path, scopes, body, reading and errors. A request that does not fit is given to the
    route itself, which says what is wrong with it.

    Args:
        route: the route. It is documented, and routed to in other methods, as if this one was not there.
    """

    def __init__(self, route: DoorRoute) -> None:
        if route.methods != {_METHOD} or route.body_field is None:
            raise ValueError(f"{route.path} is not a route of {_METHOD} with a body")
        self.route = route
        self.body: type[BaseModel] = route.body_field.field_info.annotation  # type: ignore[assignment]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As every route of Starlette."""
        if scope["type"] == "http" and scope["method"] == _METHOD:
            return self.route.matches(scope)
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As every route of Starlette."""
        request = Request(scope, receive)
        response = await self._answer(request)
        if response is None:
            await self.route.handle(scope, replayed(await request.body(), receive), send)
        else:
            await response(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> Any:
        """As every route of Starlette: the route itself has the name."""
        raise NoMatchFound(name, path_params)

    async def _answer(self, request: Request) -> Response | None:
        """The handler's answer; ``None`` if the request has no body, or another one than is wanted."""
        route, name = self.route, request.scope["path_params"]["name"]
        principal_of(request).require(*route.scopes)
        if not await request.body():
            return None
        value = await route.door.read_body(request)
        check_name(name)
        try:
            body = self.body.model_validate(value)
        except ValidationError:
            return None
        answer: Response = await route.endpoint(name, body, request)
        return answer
