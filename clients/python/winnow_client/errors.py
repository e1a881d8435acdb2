"""Errors of the service as exceptions, in a tree.

::

    WinnowApiError          what the service, or something in its place, answered; ``code`` is stable
    ├── InvalidRequest      400, 413, 415, 422: change the request
    ├── Unauthorized        401: no key, or a wrong one
    ├── Forbidden           403: the key may not do this
    ├── NotFound            404
    ├── Conflict            409
    ├── RateLimited         429: wait ``retry_after`` seconds
    └── Unavailable         5xx: the service or one of its models is away
        └── ConnectionFailed    no answer at all

The service reports errors as problem+json (RFC 9457) with a ``code``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx


class WinnowApiError(Exception):
    """An error of the service.

    Attributes:
        message: what is wrong, and what to do.
        code: stable name of the error, such as ``collection_not_found``; ``unexpected`` where another server answered.
        status: of HTTP; 0 without an answer.
        request_id: to find the request in the service's log.
        errors: places in the request that are wrong: ``{"loc": […], "message": …}``.
        retry_after: seconds to wait before the next try, where the service says so.
    """

    code: str = "unexpected"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int = 0,
        request_id: str = "",
        errors: Sequence[Mapping[str, Any]] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.status = status
        self.request_id = request_id
        self.errors = tuple(errors)
        self.retry_after = retry_after

    def __str__(self) -> str:
        places = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['message']}" for each in self.errors[1:])
        return f"{self.message}{f'; {places}' if places else ''} [{self.code}]"


class InvalidRequest(WinnowApiError):
    """The request is not valid; ``errors`` names the places."""


class Unauthorized(WinnowApiError):
    """There is no key, or it is unknown, expired or revoked."""


class Forbidden(WinnowApiError):
    """The key may not do this."""


class NotFound(WinnowApiError):
    """There is no such thing, or the key does not see it."""


class Conflict(WinnowApiError):
    """The request does not fit what is stored."""


class RateLimited(WinnowApiError):
    """Too many requests for now."""


class Unavailable(WinnowApiError):
    """The service, or a part of it, is away."""


class ConnectionFailed(Unavailable):
    """There was no answer."""

    code = "no_answer"


_BY_STATUS: Mapping[int, type[WinnowApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}


def error_of(response: httpx.Response) -> WinnowApiError:
    """The error that an answer with status 400 or above reports."""
    status = response.status_code
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else InvalidRequest)
    retry_after = seconds_of(response.headers.get("retry-after"))
    try:
        problem = response.json()
        if not (isinstance(problem, dict) and "code" in problem):
            raise ValueError
    except ValueError:
        message = f"{response.request.method} {response.request.url} answered {status}, and not as Winnow does"
        return kind(message, status=status, retry_after=retry_after)
    return kind(
        str(problem.get("detail") or problem.get("title") or problem["code"]),
        code=str(problem["code"]),
        status=status,
        request_id=str(problem.get("request_id", "")),
        errors=problem.get("errors") or (),
        retry_after=retry_after,
    )


def seconds_of(value: str | None) -> float | None:
    """Seconds in a ``Retry-After`` header, a number or an HTTP date (RFC 9110, 10.2.3); ``None`` if it is neither."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
