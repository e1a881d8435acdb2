"""Translation of the Qdrant client's errors into the error tree.

The client raises ``grpc.RpcError`` (a status code), ``UnexpectedResponse`` (an HTTP status),
``ResponseHandlingException`` (around an error of httpx, or for an answer that cannot be read) and
``ResourceExhaustedResponse`` (a time to wait); the time limit of the whole call raises ``TimeoutError``. Any other
exception is a defect and is not translated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import singledispatch
from http import HTTPStatus
from typing import Any, Final

import grpc  # type: ignore[import-untyped]
import httpx
import orjson
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from winnow.core.errors import (
    IndexLost,
    StorageFull,
    UpstreamRejected,
    UpstreamTooLong,
    UpstreamUnavailable,
    WinnowError,
)
from winnow.core.retry import parse_retry_after
from winnow.ports import IndexRef

URL: Final = "WINNOW_VECTORS__URL"
API_KEY: Final = "WINNOW_VECTORS__API_KEY"
GRPC_PORT: Final = "WINNOW_VECTORS__GRPC_PORT"

_VENDOR: Final = (ApiException, QdrantException, grpc.RpcError, TimeoutError)
_MESSAGE_LENGTH: Final = 400  # characters of what the server says that are passed on
_FULL: Final = ("no space left", "out of disk", "disk is full", "disk quota exceeded", "available disk space")
_CLOSED: Final = ("socket closed", "server disconnected", "connection reset", "readerror", "illegal status line")
_TOO_LONG: Final = ("larger than max", "message length too large", "message too large")
_NO_INDEX: Final = ("doesn't exist", "not found: collection")

_PASSING: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_STATUS: Final[dict[Any, HTTPStatus]] = {
    grpc.StatusCode.OK: HTTPStatus.BAD_GATEWAY,  # an error that claims to be none
    grpc.StatusCode.CANCELLED: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.UNKNOWN: HTTPStatus.INTERNAL_SERVER_ERROR,
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    grpc.StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    grpc.StatusCode.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.ABORTED: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.OUT_OF_RANGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,  # how tonic says that a message is too long
    grpc.StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    grpc.StatusCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS: HTTPStatus.INTERNAL_SERVER_ERROR,
    grpc.StatusCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
}
"""Each code of gRPC as the HTTP status that means the same (google.rpc.Code)."""


class AlreadyThere(UpstreamRejected):
    """The object to be created exists. Does not leave ``winnow.vectors``."""


@dataclass(frozen=True, slots=True)
class Errand:
    """The operation and its target, as error messages name them."""

    url: str
    doing: str
    index: IndexRef | None = None

    def failed(self, how: str, said: str) -> str:
        """One line: the server, how it failed, the operation, and the server's own message."""
        line = " ".join(said.split())
        cut = f"{line[:_MESSAGE_LENGTH]} …" if len(line) > _MESSAGE_LENGTH else line
        return f"Qdrant at {self.url} {how} while {self.doing}" + (f" ({cut})" if cut else "")

    def perhaps_tls(self, said: str) -> str:
        """A hint where a plain connection was closed at once, as a port for TLS does."""
        closed = any(sign in said.lower() for sign in _CLOSED)
        return ", with https:// if the server expects TLS" if closed and self.url.startswith("http://") else ""


@contextmanager
def qdrant_errors(errand: Errand) -> Iterator[None]:
    """Translate every error of the client."""
    try:
        yield
    except _VENDOR as error:
        raise translate(error, errand) from error


@singledispatch
def translate(error: Exception, errand: Errand) -> WinnowError:
    """The error of our tree for one of the client's."""
    return UpstreamRejected(errand.failed("failed with an unknown error", f"{type(error).__name__}: {error}"))


@translate.register
def _(error: UnexpectedResponse, errand: Errand) -> WinnowError:
    retry_after = parse_retry_after(error.headers.get("Retry-After"))
    return _refusal(error.status_code or 0, _said(error.content), errand, retry_after)


@translate.register
def _(error: grpc.RpcError, errand: Errand) -> WinnowError:
    status = _STATUS[error.code()]
    said = error.details() or ""
    if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and any(sign in said.lower() for sign in _TOO_LONG):
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE  # not a limit that passes, but how grpc refuses a long message
    if status == HTTPStatus.NOT_IMPLEMENTED:
        return UpstreamRejected(errand.failed("does not know the call", said) + f"; check {GRPC_PORT}")
    where = f"{URL} and {GRPC_PORT}"  # the URL's own port is for HTTP only
    return _refusal(status, said, errand, None, where=where + errand.perhaps_tls(said))


@translate.register
def _(error: ResourceExhaustedResponse, errand: Errand) -> WinnowError:
    return _refusal(HTTPStatus.TOO_MANY_REQUESTS, error.message, errand, float(error.retry_after_s))


@translate.register
def _(error: ResponseHandlingException, errand: Errand) -> WinnowError:
    source = error.source
    said = f"{type(source).__name__}: {source}"
    if isinstance(source, httpx.TransportError | OSError):
        how = "did not answer in time" if isinstance(source, httpx.TimeoutException) else "cannot be reached"
        return UpstreamUnavailable(f"{errand.failed(how, said)}; check {URL}{errand.perhaps_tls(said)}")
    return UpstreamRejected(f"{errand.failed('gave an answer that cannot be read', said)}; check {URL}")


@translate.register
def _(error: TimeoutError, errand: Errand) -> WinnowError:
    return UpstreamUnavailable(errand.failed("did not answer in time", str(error)) + f"; check {URL}")


def _refusal(status: int, said: str, errand: Errand, retry_after: float | None, where: str = URL) -> WinnowError:
    """The error for an HTTP status; ``where`` is what to check if nothing answers there."""
    if any(sign in said.lower() for sign in _FULL):
        return StorageFull(errand.failed("has no space left", said), retry_after=retry_after)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return UpstreamUnavailable(f"{errand.failed('is not available', said)}; check {where}", retry_after=retry_after)
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UpstreamUnavailable(errand.failed(f"answered {status}", said), retry_after=retry_after)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return UpstreamTooLong(errand.failed("takes no request of this size", said))
    return _rejection(status, said, errand)


def _rejection(status: int, said: str, errand: Errand) -> WinnowError:
    """The error for a status that a retry does not change."""
    text = said.lower()
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return UpstreamRejected(f"{errand.failed('refused the key', said)}; check {API_KEY}")
        case HTTPStatus.NOT_FOUND if errand.index and any(sign in text for sign in _NO_INDEX):
            name, generation = errand.index.collection, errand.index.generation
            return IndexLost(f"there is no index for {name!r}, generation {generation}")
        case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED:
            return UpstreamRejected(f"{errand.failed('does not know the call', said)}; check {URL}")
        case _ if status == HTTPStatus.CONFLICT or "already exists" in text:
            return AlreadyThere(errand.failed("has it already", said))
        case _ if 300 <= status < 400:
            return UpstreamRejected(f"{errand.failed('redirects', said)}; set {URL} to the final address")
        case _:
            return UpstreamRejected(errand.failed(f"answered {status}", said))


def _said(body: bytes) -> str:
    """The message of an error body: ``{"status": {"error": "…"}}``, else the body itself."""
    try:
        return str(orjson.loads(body)["status"]["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body[:_MESSAGE_LENGTH].decode("utf-8", "replace")
