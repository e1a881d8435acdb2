"""The only map from domain errors to HTTP, and the one shape of every error answer.

Every error is an RFC 9457 problem, ``application/problem+json``::

    {"type", "title", "status", "detail", "code", "request_id", "errors"?: [{"loc", "message"}]}

``code`` is stable and meant for programs; ``detail`` is meant for people. ``loc`` is the path to the culprit inside
the body, or the name of the parameter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from winnow.core import errors as domain

PROBLEM_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 5.0  # what Retry-After says where the error does not know better

STATUS: Final[Mapping[type[domain.WinnowError], int]] = {
    domain.WinnowError: 500,
    domain.InvalidInput: 422,
    domain.InvalidQuery: 422,
    domain.InvalidFilter: 422,
    domain.InvalidDocument: 422,
    domain.DocumentTooLarge: 413,
    domain.InvalidCollection: 422,
    domain.InvalidSettings: 500,
    domain.InvalidSource: 422,
    domain.NotFound: 404,
    domain.CollectionNotFound: 404,
    domain.DocumentNotFound: 404,
    domain.JobNotFound: 404,
    domain.Conflict: 409,
    domain.IdentityMismatch: 409,
    domain.VersionConflict: 409,
    domain.DataDirectoryLocked: 409,
    domain.Overloaded: 429,
    domain.DeadlineExceeded: 504,
    domain.Upstream: 502,
    domain.UpstreamUnavailable: 503,
    domain.UpstreamRejected: 502,
    domain.UpstreamTooLong: 502,
    domain.StorageFailure: 500,
    domain.StorageFull: 507,
}


class ProblemKind(NamedTuple):
    """A status and the code that goes with it."""

    status: int
    code: str
    summary: str


INVALID_JSON: Final = ProblemKind(400, "invalid_json", "The body is not JSON in UTF-8.")
BODY_TOO_LARGE: Final = ProblemKind(413, "body_too_large", "The body is over the configured limit.")
UNSUPPORTED_MEDIA_TYPE: Final = ProblemKind(415, "unsupported_media_type", "The body's content type is not read here.")
UNKNOWN_HOST: Final = ProblemKind(421, "unknown_host", "The Host header names a host that is not served here.")
NO_ROUTE: Final = ProblemKind(404, "not_found", "Nothing is served under this path.")
METHOD_NOT_ALLOWED: Final = ProblemKind(405, "method_not_allowed", "The path does not take this method.")
INTERNAL: Final = ProblemKind(500, "internal_error", "A bug or a broken disk; the log has it under the request id.")

_BY_STATUS: Final = {kind.status: kind for kind in (NO_ROUTE, METHOD_NOT_ALLOWED, BODY_TOO_LARGE, INTERNAL)}


_PLAIN_MESSAGES: Final = {
    "extra_forbidden": "unknown field",
    "missing": "is missing",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
}


class Problem(HTTPException):
    """An error answer that only HTTP knows.

    Attributes:
        kind: its status and code.
        errors: ``{"loc", "message"}`` for each place that is wrong.
        extra: further members of the problem object.
    """

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        *,
        errors: Iterable[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(kind.status, detail, dict(headers) if headers else None)
        self.kind = kind
        self.errors = list(errors)
        self.extra = extra


def kind_of(error: type[domain.WinnowError]) -> ProblemKind:
    """Status, code and summary of a class of domain errors."""
    summary = (error.__doc__ or "").partition("\n")[0]
    return ProblemKind(STATUS[error], error.code, summary)


def problem_from(error: domain.WinnowError) -> Problem:
    """The answer to a domain error, with ``Retry-After`` where coming back may help."""
    kind = kind_of(type(error))
    headers = {}
    if kind.status in (429, 503) or error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after or RETRY_SECONDS)))
    places = [{"loc": list(error.location), "message": error.message}] if error.location else []
    return Problem(kind, error.message, errors=places, headers=headers)


def problem_from_validation(error: RequestValidationError, code: str) -> Problem:
    """The answer to a request whose body or parameters have the wrong shape."""
    places = [_place(item) for item in error.errors()]
    first = places[0]
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    detail = f"{where}: {first['message']}{more}" if where else f"{first['message']}{more}"
    return Problem(ProblemKind(422, code, ""), detail, errors=places)


def problem_response(scope: Scope, problem: Problem) -> Response:
    """Write ``problem`` as ``application/problem+json``."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.kind.status).phrase,
        "status": problem.kind.status,
        "detail": problem.detail,
        "code": problem.kind.code,
        "request_id": scope.get("state", {}).get("request_id"),
        **problem.extra,
    }
    if problem.errors:
        body["errors"] = problem.errors
    return Response(orjson.dumps(body), problem.kind.status, problem.headers, PROBLEM_TYPE)


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error that a route raises with a problem."""

    async def on_domain_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, domain.WinnowError)
        return problem_response(request.scope, problem_from(error))

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        problem = error if isinstance(error, Problem) else _problem_from_http(request, error)
        return problem_response(request.scope, problem)

    async def on_validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem_response(request.scope, problem_from_validation(error, domain.InvalidInput.code))

    app.add_exception_handler(domain.WinnowError, on_domain_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)


def _problem_from_http(request: Request, error: HTTPException) -> Problem:
    """The framework's own errors: no such route, wrong method."""
    kind = _BY_STATUS.get(error.status_code, ProblemKind(error.status_code, f"http_{error.status_code}", ""))
    detail = f"{kind.summary or error.detail} ({request.method} {request.url.path[:200]})"
    return Problem(kind, detail, headers=error.headers)


def _place(item: Mapping[str, Any]) -> dict[str, Any]:
    """One validation error with the place relative to the body, as domain errors have it."""
    location = list(item["loc"][1:])
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "missing" and not location:
        message = "the request needs a JSON body"
    elif item["type"] in _PLAIN_MESSAGES:
        message = _PLAIN_MESSAGES[item["type"]]
    return {"loc": location, "message": message[:1].lower() + message[1:]}
