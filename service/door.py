"""Routers: routes of one resource or protocol, with the body reader and the error answers that they share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar, Final, TypeAlias

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from service.access import SCOPES_KEY, principal_of
from service.errors import (
    BODY_TOO_LARGE,
    INTERNAL,
    INVALID_JSON,
    PROBLEM_DETAILS,
    UNSUPPORTED_MEDIA_TYPE,
    ErrorShape,
    Problem,
    ProblemKind,
    problem_from_validation,
    problem_kind,
)
from service.wire import json_body
from winnow.core.errors import (
    CollectionNotFound,
    DeadlineExceeded,
    Forbidden,
    IdentityMismatch,
    InvalidFilter,
    InvalidInput,
    InvalidQuery,
    ModelNotFound,
    Overloaded,
    RateLimited,
    Unauthorized,
    UpstreamRejected,
    UpstreamUnavailable,
    WinnowError,
)
from winnow.core.principal import Scope

BODY_PROBLEMS: Final = (INVALID_JSON, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE)
_OF_MODELS: Final = (Overloaded, UpstreamRejected, UpstreamUnavailable, DeadlineExceeded)
MODEL_PROBLEMS: Final = (*BODY_PROBLEMS, InvalidInput, ModelNotFound, *_OF_MODELS)
"""Of routes that call a model alone."""
SEARCH_PROBLEMS: Final = (
    *BODY_PROBLEMS,
    CollectionNotFound,
    IdentityMismatch,
    InvalidQuery,
    InvalidFilter,
    *_OF_MODELS,
)
"""Of routes that search."""
REFERENCE: Final = "#/components/schemas/"
_RETRY_AFTER: Final = {
    "Retry-After": {"description": "seconds to wait before trying again", "schema": {"type": "integer"}}
}
ReadBody: TypeAlias = Callable[[Request], Awaitable[Any]]
Kind: TypeAlias = ProblemKind | type[WinnowError]


class Door(APIRouter):
    """A router whose routes read bodies and answer errors in one way.

    Args:
        prefix: of all paths.
        tag: of all routes.
        invalid: the error for a body or parameters of the wrong shape.
        problems: errors that every route of the router may answer with.
        shape: the shape of error answers.
        read_body: decodes a body; raises ``Problem`` or a domain error.
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        tag: str,
        invalid: type[InvalidInput] = InvalidInput,
        problems: tuple[Kind, ...] = (),
        shape: ErrorShape = PROBLEM_DETAILS,
        read_body: ReadBody = json_body,
    ) -> None:
        class Route(DoorRoute):
            door = self
            error_shape = shape

        super().__init__(prefix=prefix, tags=[tag], route_class=Route, strict_content_type=False)
        self.invalid = invalid
        self.shape = shape
        self.read_body = read_body
        self._problems = problems

    def problems(self, *kinds: Kind, public: bool = False) -> dict[int | str, dict[str, Any]]:
        """The ``responses`` of a route: the errors of the router, the given ones, 500, and those of access.

        ``public``: the route is open to all.
        """
        by_status: dict[int, list[ProblemKind]] = {}
        access = () if public else (Unauthorized, Forbidden, RateLimited)
        for item in (*access, *self._problems, *kinds, INTERNAL):
            kind = item if isinstance(item, ProblemKind) else problem_kind(item)
            status = self.shape.statuses.get(kind.status, kind.status)
            by_status.setdefault(status, []).append(kind)
        return {status: _documented(self.shape, kinds) for status, kinds in sorted(by_status.items())}


class DoorRoute(APIRoute):
    """A route of a ``Door``."""

    door: ClassVar[Door]
    error_shape: ClassVar[ErrorShape]  # also of errors that middleware raises

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        extra = options.get("openapi_extra") or {}
        if SCOPES_KEY not in extra:
            raise ValueError(f"the route {path} declares no scopes: give it openapi_extra=needs(…)")
        self.scopes: tuple[Scope, ...] = tuple(extra[SCOPES_KEY])
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handle: Callable[[Request], Awaitable[Response]] = super().get_route_handler()
        door, reads_body = self.door, self.body_field is not None

        async def strict(request: Request) -> Response:
            if self.scopes:
                principal_of(request).require(*self.scopes)
            if reads_body and (body := await request.body()):
                request = _Decoded(request, body, await door.read_body(request))
            try:
                return await handle(request)
            except RequestValidationError as error:
                raise problem_from_validation(error, door.invalid.code) from error

        return strict


class _Decoded(Request):
    """A request whose body its door has read."""

    def __init__(self, request: Request, body: bytes, value: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._read, self._value = body, value

    async def body(self) -> bytes:
        return self._read

    async def json(self) -> Any:
        return self._value


def _documented(shape: ErrorShape, kinds: list[ProblemKind]) -> dict[str, Any]:
    first = kinds[0]
    content = {
        "schema": {"$ref": REFERENCE + shape.model.__name__},
        "example": shape.body(Problem(first, first.summary), "req_01JY4W6V0T8Q"),
    }
    lines = [f"`{kind.code}`: {kind.summary}" for kind in kinds]
    response: dict[str, Any] = {"description": "  \n".join(lines), "content": {shape.media_type: content}}
    if first.status in (429, 503):
        response["headers"] = _RETRY_AFTER
    return response
