"""JSON in and out: one strict reader, one fast writer, and the route class that uses them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, ClassVar, Final

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from service.errors import INVALID_JSON, UNSUPPORTED_MEDIA_TYPE, Problem, problem_from_validation
from winnow.core.errors import InvalidCollection, InvalidDocument, InvalidInput, InvalidQuery

JSON_TYPE: Final = "application/json"
NDJSON_TYPES: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl")


def loads(body: bytes) -> Any:
    """Decode JSON: UTF-8 only, no NaN or Infinity, no lone surrogates.

    Raises:
        Problem: 400 ``invalid_json`` that names the place.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(INVALID_JSON, f"the body is not JSON: {error}") from error


def dumps(value: Any) -> bytes:
    """Encode JSON; numpy scalars and any ``Mapping`` are fine."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)


def content_type(request: Request) -> str:
    """The media type of the body in lower case, without parameters; "" where none is given.

    Raises:
        Problem: 415 for another charset than UTF-8.
    """
    media_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.partition("charset=")[2].strip().strip('"')
    if charset not in ("", "utf-8", "utf8"):
        raise Problem(UNSUPPORTED_MEDIA_TYPE, f"charset {charset[:40]!r} is not read here; send UTF-8")
    return media_type.strip()


async def json_body(request: Request) -> Any:
    """The decoded body.

    Raises:
        Problem: 415 where the content type is not JSON, 400 where the body is not.
    """
    require_json(request)
    return loads(await request.body())


def require_json(request: Request) -> None:
    """Raise 415 unless the content type is JSON.

    A web page of another origin cannot send this type without asking first, so the check also guards a service on
    loopback against cross-site writes.
    """
    found = content_type(request)
    if found != JSON_TYPE and not (found.startswith("application/") and found.endswith("+json")):
        raise Problem(UNSUPPORTED_MEDIA_TYPE, f"send Content-Type: {JSON_TYPE}, not {found[:80] or 'none'}")


class StrictRequest(Request):
    """A request whose ``json()`` is the strict reader."""

    async def json(self) -> Any:
        return loads(await self.body())


class StrictRoute(APIRoute):
    """A route that reads JSON strictly and answers a wrong shape with the code of its resource."""

    invalid: ClassVar[type[InvalidInput]] = InvalidInput

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handle: Callable[[Request], Awaitable[Response]] = super().get_route_handler()
        reads_body = self.body_field is not None
        code = self.invalid.code

        async def strict(request: Request) -> Response:
            request = StrictRequest(request.scope, request.receive)
            if reads_body and await request.body():
                require_json(request)
            try:
                return await handle(request)
            except RequestValidationError as error:
                raise problem_from_validation(error, code) from error

        return strict


class CollectionRoute(StrictRoute):
    """Wrong shapes are ``invalid_collection``."""

    invalid = InvalidCollection


class DocumentRoute(StrictRoute):
    """Wrong shapes are ``invalid_document``."""

    invalid = InvalidDocument


class SearchRoute(StrictRoute):
    """Wrong shapes are ``invalid_query``."""

    invalid = InvalidQuery


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
