"""The map from domain errors to HTTP, and the shape of error answers.

Errors of the native API are RFC 9457 problems, ``application/problem+json``::

    {"type", "title", "status", "detail", "code", "request_id", "errors"?: [{"loc", "message"}]}

``code`` is stable and for programs; ``detail`` is for people. ``loc`` is the path to the wrong value inside the body,
or the name of the parameter. The routes of another protocol have an ``ErrorShape`` of their own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import Scope

from service.schemas.common import ProblemBody, is_variant
from winnow.core import errors as domain
from winnow.operations.submit import NothingAccepted

RETRY_SECONDS: Final = 5.0  # Retry-After of errors without a time of their own

STATUS: Final[Mapping[type[domain.WinnowError], int]] = {
    domain.WinnowError: 500,
    domain.InvalidInput: 422,
    domain.InvalidQuery: 422,
    domain.CursorExpired: 422,
    domain.InvalidFilter: 422,
    domain.InvalidDocument: 422,
    domain.DocumentTooLarge: 413,
    domain.InvalidCollection: 422,
    domain.InvalidKey: 422,
    domain.InvalidSettings: 500,
    domain.InvalidSource: 422,
    domain.InvalidRules: 422,
    domain.NotFound: 404,
    domain.CollectionNotFound: 404,
    domain.DocumentNotFound: 404,
    domain.ModelNotFound: 404,
    domain.JobNotFound: 404,
    domain.KeyNotFound: 404,
    domain.FileNotFound: 404,
    domain.SourceNotFound: 404,
    domain.Conflict: 409,
    domain.IdentityMismatch: 409,
    domain.AnalyticsDisabled: 409,
    domain.VersionConflict: 409,
    domain.DataDirectoryLocked: 409,
    domain.Unauthorized: 401,
    domain.Forbidden: 403,
    domain.Overloaded: 429,
    domain.RateLimited: 429,
    domain.IndexRebuilding: 503,
    domain.DeadlineExceeded: 504,
    domain.Upstream: 502,
    domain.UpstreamUnavailable: 503,
    domain.UpstreamSaturated: 503,
    domain.UpstreamRejected: 502,
    domain.TokensSpent: 429,
    domain.UpstreamTooLong: 502,
    domain.StorageFailure: 500,
    domain.StorageFull: 507,
    domain.IndexLost: 503,
}


class ProblemKind(NamedTuple):
    """A status and the code that goes with it."""

    status: int
    code: str
    summary: str


INVALID_JSON: Final = ProblemKind(400, "invalid_json", "The body is not valid JSON in UTF-8.")
INVALID_REQUEST_LINE: Final = ProblemKind(400, "invalid_request", "The request is not valid HTTP.")
INVALID_FORM: Final = ProblemKind(400, "invalid_form", "The body is not valid multipart/form-data.")
BODY_TOO_LARGE: Final = ProblemKind(413, "body_too_large", "The body exceeds the configured limit.")
UNSUPPORTED_MEDIA_TYPE: Final = ProblemKind(415, "unsupported_media_type", "The body's content type is not supported.")
UNKNOWN_HOST: Final = ProblemKind(421, "unknown_host", "The service does not answer for the host of the Host header.")
NO_ROUTE: Final = ProblemKind(404, "not_found", "No resource has this path.")
NOT_OFFERED: Final = ProblemKind(404, "not_offered", "The protocol has this call; the service does not offer it.")
METHOD_NOT_ALLOWED: Final = ProblemKind(405, "method_not_allowed", "The resource does not support this method.")
CROSS_SITE: Final = ProblemKind(403, "cross_site", "A page of another site sent the request.")
TOO_SLOW: Final = ProblemKind(
    408, "too_slow", "The request did not arrive in time: 10 s for its head, 60 s for its body."
)
HEAD_TOO_LARGE: Final = ProblemKind(
    431, "head_too_large", "The head of the request is over 64 KiB, or has over 100 fields."
)
TOO_MANY_CONNECTIONS: Final = ProblemKind(
    503, "too_many_connections", "The service has all the connections that it takes."
)
TOO_MANY_BODIES: Final = ProblemKind(
    503, "too_many_bodies", "The bodies under way are all that the service has memory for."
)
SHUTTING_DOWN: Final = ProblemKind(503, "shutting_down", "The process ended before the request did; send it again.")
INTERNAL: Final = ProblemKind(500, "internal_error", "A bug or a broken disk; see the log under the request id.")

_BY_STATUS: Final = {kind.status: kind for kind in (NO_ROUTE, METHOD_NOT_ALLOWED, BODY_TOO_LARGE, INTERNAL)}
_PLAIN_MESSAGES: Final = {
    "extra_forbidden": "unknown field",
    "missing": "is missing",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
}
_ALTERNATIVE: Final = re.compile(r"str|(list|dict|tuple)\[.*\]")  # how Pydantic names the types of a union in places


class Problem(HTTPException):
    """An error answer, independent of the shape that it is written in.

    Attributes:
        kind: its status and code.
        errors: ``{"loc", "message"}`` for each wrong place.
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


@dataclass(frozen=True, slots=True)
class ErrorShape:
    """How a protocol writes errors.

    Attributes:
        media_type: content type of an error answer.
        model: documents the body in OpenAPI.
        body: the body, from the problem and the request id.
        statuses: statuses that the protocol uses in place of ours.
    """

    media_type: str
    model: type[BaseModel]
    body: Callable[[Problem, str | None], dict[str, Any]]
    statuses: Mapping[int, int] = field(default_factory=dict)

    def status(self, problem: Problem) -> int:
        """The status of an answer."""
        return self.statuses.get(problem.kind.status, problem.kind.status)


def _problem_body(problem: Problem, request_id: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.kind.status).phrase,
        "status": problem.kind.status,
        "detail": problem.detail,
        "code": problem.kind.code,
        "request_id": request_id,
        **problem.extra,
    }
    return body | {"errors": problem.errors} if problem.errors else body


PROBLEM_DETAILS: Final = ErrorShape("application/problem+json", ProblemBody, _problem_body)


def problem_kind(error: type[domain.WinnowError]) -> ProblemKind:
    """Status, code and summary of a class of domain errors."""
    summary = (error.__doc__ or "").partition("\n")[0]
    return ProblemKind(STATUS[error], error.code, summary)


def problem_from(error: domain.WinnowError) -> Problem:
    """The answer to a domain error, with ``Retry-After`` if a retry may succeed."""
    kind = problem_kind(domain.by_code(error.code) or domain.WinnowError)
    if isinstance(error, NothingAccepted):
        rejected = [asdict(item) for item in error.rejected]
        places = [{"loc": ["documents", item.index], "message": item.message} for item in error.rejected]
        return Problem(kind, error.message, errors=places, rejected=rejected, accepted=0)
    headers = {"WWW-Authenticate": "Bearer"} if kind.status == HTTPStatus.UNAUTHORIZED else {}
    if kind.status in (429, 503) or error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after or RETRY_SECONDS)))
    if isinstance(error, domain.RateLimited):
        headers |= {"RateLimit-Limit": str(error.limit), "RateLimit-Remaining": str(error.remaining)}
        headers["RateLimit-Reset"] = headers["Retry-After"]
    places = [{"loc": list(error.location), "message": error.message}] if error.location else []
    if isinstance(error, domain.IndexRebuilding):
        progress: dict[str, Any] = {"share": error.share}
        if error.total is not None:
            progress |= {"documents_done": error.done, "documents_total": error.total}
        return Problem(kind, error.message, headers=headers, progress=progress)
    return Problem(kind, error.message, errors=places, headers=headers)


def problem_from_validation(error: RequestValidationError, code: str) -> Problem:
    """The answer to a request whose body or parameters have the wrong shape."""
    places = _places(error)
    first = places[0]
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    detail = f"{where}: {first['message']}{more}" if where else f"{first['message']}{more}"
    return Problem(ProblemKind(422, code, ""), detail, errors=places)


def problem_response(scope: Scope, problem: Problem) -> Response:
    """Write ``problem`` in the error shape of the request, of its route, or of routes whose paths begin alike."""
    state = scope.get("state", {})
    shape: ErrorShape = state.get("error_shape") or _shape_of(scope)
    body = shape.body(problem, state.get("request_id"))
    return Response(orjson.dumps(body), shape.status(problem), problem.headers, shape.media_type)


def _shape_of(scope: Scope) -> ErrorShape:
    if (route := scope.get("route")) is not None:
        return getattr(route, "error_shape", PROBLEM_DETAILS)
    if "app" not in scope:  # refused before the application was asked
        return PROBLEM_DETAILS
    nearest: Callable[[str], ErrorShape] = scope["app"].state.nearest_shape
    return nearest(scope["path"].removeprefix(scope.get("root_path", "")))


def install_error_handlers(app: FastAPI, note: Callable[[Scope, Exception], None]) -> None:
    """Answer every error that a route raises with a problem; ``note`` is told of each."""

    async def answer(request: Request, error: Exception) -> Response:
        note(request.scope, error)
        return problem_response(request.scope, _problem_of(request, error))

    for kind in (domain.WinnowError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer)


def _problem_of(request: Request, error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case domain.WinnowError():
            return problem_from(error)
        case RequestValidationError():
            return problem_from_validation(error, domain.InvalidInput.code)
        case HTTPException(status_code=status):  # the framework's own: no such route, wrong method
            kind = _BY_STATUS.get(status, ProblemKind(status, f"http_{status}", ""))
            detail = f"{kind.summary or error.detail} ({request.method} {request.url.path[:200]})"
            return Problem(kind, detail, headers=error.headers)
    raise error


def _places(error: RequestValidationError) -> list[dict[str, Any]]:
    """The wrong places, one for all types that a value may have; where one fits, its own error alone is said."""
    found: dict[tuple[Any, ...], tuple[list[str], list[str]]] = {}
    for item in error.errors():
        place = _place(item)
        of_types, others = found.setdefault(tuple(place["loc"]), ([], []))
        (of_types if str(item["type"]).endswith("_type") else others).append(place["message"])
    return [
        {"loc": list(loc), "message": ", or ".join(dict.fromkeys(others or of_types))}
        for loc, (of_types, others) in found.items()
    ]


def _place(item: Mapping[str, Any]) -> dict[str, Any]:
    """One validation error with the place relative to the body, as domain errors have it."""
    location = [part for part in item["loc"][1:] if not is_variant(part)]
    location = [part for at, part in enumerate(location) if not at or not _ALTERNATIVE.fullmatch(str(part))]
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "missing" and not location:
        message = "the request needs a JSON body"
    elif item["type"] in _PLAIN_MESSAGES:
        message = _PLAIN_MESSAGES[item["type"]]
    return {"loc": location, "message": message[:1].lower() + message[1:]}
