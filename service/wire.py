"""Reading and writing of JSON bodies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson
from fastapi import Request, Response
from starlette.types import Message, Receive

from service.errors import INVALID_JSON, UNSUPPORTED_MEDIA_TYPE, Problem
from winnow.core.errors import InvalidDocument
from winnow.ports import Rejection

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
    """Encode JSON, numpy scalars and any ``Mapping`` included."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)


def json_response(value: Any) -> Response:
    """An answer of JSON, as ``dumps`` writes it."""
    return Response(dumps(value), media_type=JSON_TYPE)


def replayed(body: bytes, receive: Receive) -> Receive:
    """``receive`` of a request whose body has been read: it gives the body once more."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def documents_in(body: bytes, *, ndjson: bool) -> Iterable[tuple[int, Any]]:
    """Index and decoded value of each document of a body: ``{"documents": [...]}``, or NDJSON.

    A line of NDJSON that is not JSON is a ``Rejection``. Blank lines are counted and skipped.

    Raises:
        Problem: the body as a whole is not JSON.
        InvalidDocument: it is not ``{"documents": [...]}``.
    """
    if ndjson:
        return _lines(body)
    envelope = loads(body)
    if not isinstance(envelope, dict) or not isinstance(envelope.get("documents"), list):
        raise InvalidDocument('the body must be {"documents": [...]}', location=("documents",))
    unknown = [key for key in envelope if key != "documents"]
    if unknown:
        raise InvalidDocument(f"unknown field {unknown[0][:80]!r}", location=(unknown[0],))
    return enumerate(envelope["documents"])


def content_type(request: Request) -> str:
    """The media type of the body in lower case, without parameters; "" if the request has none.

    Raises:
        Problem: 415 for another charset than UTF-8, and for a compressed body.
    """
    if (encoding := request.headers.get("content-encoding", "identity").strip().lower()) not in ("identity", ""):
        message = f"Content-Encoding {encoding[:40]!r} is not supported; send the body uncompressed"
        raise Problem(UNSUPPORTED_MEDIA_TYPE, message)
    media_type, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.partition("charset=")[2].strip().strip('"')
    if charset not in ("", "utf-8", "utf8"):
        raise Problem(UNSUPPORTED_MEDIA_TYPE, f"charset {charset[:40]!r} is not supported; send UTF-8")
    return media_type.strip()


async def json_body(request: Request) -> Any:
    """The decoded body.

    Raises:
        Problem: 415 if the content type is not JSON, 400 if the body is not.
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


def _lines(body: bytes) -> Iterator[tuple[int, Any]]:
    for index, line in enumerate(body.split(b"\n")):
        if not line.strip():
            continue
        try:
            yield index, orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield index, Rejection(index, None, INVALID_JSON.code, f"line {index} is not JSON: {error}")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
