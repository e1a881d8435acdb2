"""Routes of doors: one handler under the path of a protocol, and under those of others that mean the same."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeAlias

from fastapi import Response

from service.access import needs
from service.door import Door
from winnow.core.principal import Scope

Handler: TypeAlias = Callable[..., Coroutine[Any, Any, Response]]
Method: TypeAlias = Literal["GET", "POST", "DELETE"]


def post(door: Door, path: str, *aliases: str, scope: Scope = "search") -> Callable[[Handler], Handler]:
    """Register a handler for POST; it answers under ``aliases`` as well, which OpenAPI leaves out."""
    return route(door, "POST", path, *aliases, scopes=(scope,))


def route(
    door: Door, method: Method, path: str, *aliases: str, scopes: tuple[Scope, ...], described: bool = True
) -> Callable[[Handler], Handler]:
    """Register a handler that needs one of these scopes; it answers under ``aliases`` as well, as ``post`` says.

    ``described`` is false for routes that OpenAPI leaves out.
    """

    def register(handler: Handler) -> Handler:
        for each in (path, *aliases):
            door.add_api_route(
                each,
                handler,
                methods=[method],
                response_model=None,
                responses=door.problems(),
                openapi_extra=needs(*scopes),
                include_in_schema=described and each == path,
            )
        return handler

    return register
