"""Routes of doors: one handler under the path of a protocol, and under others that its clients call by mistake."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from fastapi import Response

from service.access import needs
from service.door import Door
from winnow.core.principal import Scope

Handler: TypeAlias = Callable[..., Coroutine[Any, Any, Response]]


def post(door: Door, path: str, *aliases: str, scope: Scope = "search") -> Callable[[Handler], Handler]:
    """Register a handler for POST; it answers under ``aliases`` as well, which OpenAPI leaves out."""

    def register(handler: Handler) -> Handler:
        for each in (path, *aliases):
            door.add_api_route(
                each,
                handler,
                methods=["POST"],
                response_model=None,
                responses=door.problems(),
                openapi_extra=needs(scope),
                include_in_schema=each == path,
            )
        return handler

    return register
