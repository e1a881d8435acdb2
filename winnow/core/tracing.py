"""Traces: the one place that knows OpenTelemetry's API, and that maps what this program does to spans and attributes.

Off unless ``trace_with`` is called; then every span costs one call that does nothing. Names and attributes follow
OpenTelemetry's semantic conventions for HTTP and databases, and those for generative models (``gen_ai.*``), which are
still in development: a change of theirs is a change here. No attribute holds a query, a text, a key or a tenant.

https://opentelemetry.io/docs/specs/semconv/
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

Kind: TypeAlias = Literal["SERVER", "CLIENT", "CONSUMER", "INTERNAL"]

_OPERATIONS: Final = {"embed": "embeddings", "rerank": "rerank"}  # gen_ai.operation.name has none for reranking


_NOTHING: Final = nullcontext()


class _State:
    tracer: Tracer | None = None


class Traced:
    """A span while its block runs; nothing where traces are off. An error that leaves the block is its status."""

    __slots__ = ("_attributes", "_kind", "_manager", "_name", "_parent", "_span")

    def __init__(self, name: str, kind: Kind, attributes: Mapping[str, Any], parent: Mapping[str, str] | None) -> None:
        self._name, self._kind, self._attributes, self._parent = name, kind, attributes, parent
        self._manager: Any = None
        self._span: Span | None = None

    def __enter__(self) -> Self:
        tracer = _State.tracer
        if tracer is not None:
            from opentelemetry import propagate, trace  # noqa: PLC0415 - an extra

            above = None if self._parent is None else propagate.extract(self._parent)
            self._manager = tracer.start_as_current_span(
                self._name, context=above, kind=trace.SpanKind[self._kind], attributes=dict(self._attributes)
            )
            self._span = self._manager.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._manager is not None:
            self._manager.__exit__(kind, error, trace)

    def note(self, **attributes: Any) -> None:
        """Add attributes; underscores in their names are dots."""
        if self._span is not None:
            self._span.set_attributes({_dotted(key): value for key, value in attributes.items()})

    def rename(self, name: str) -> None:
        """Give the span its final name, which is known late."""
        if self._span is not None:
            self._span.update_name(name)


def request_span(method: str, headers: Mapping[str, str], *, traced: bool) -> AbstractContextManager[Any]:
    """The span of an HTTP request, under that of the caller where it sent ``traceparent``."""
    if _State.tracer is None or not traced:
        return _NOTHING
    return Traced(method, "SERVER", {"http.request.method": method}, headers)


def note_response(span: AbstractContextManager[Any], scope: Mapping[str, Any], status: int) -> None:
    """What is known of a request, by its ASGI scope, when it has been answered."""
    if not isinstance(span, Traced):
        return
    route = getattr(scope.get("route"), "path", "unmatched")
    span.rename(f"{scope['method']} {route}")
    span.note(http_route=route, http_response_status__code=status, winnow_request__id=scope["state"]["request_id"])


def model_span(role: str, model: str) -> Traced:
    """The span of a call of a model."""
    operation = _OPERATIONS.get(role, role)
    attributes = {"gen_ai.operation.name": operation, "gen_ai.request.model": model}
    return Traced(f"{operation} {model}", "CLIENT", attributes, None)


def note_tokens(span: Traced, tokens: int) -> None:
    """The tokens that a model read."""
    span.note(gen__ai_usage_input__tokens=tokens)


def store_span(operation: str) -> Traced:
    """The span of a call of the vector store's server."""
    return Traced(f"qdrant {operation}", "CLIENT", {"db.system.name": "qdrant", "db.operation.name": operation}, None)


def batch_span(collection: str, documents: int) -> Traced:
    """The span of a worker's batch."""
    attributes = {"winnow.collection": collection, "messaging.batch.message_count": documents}
    return Traced("index batch", "CONSUMER", attributes, None)


def trace_headers() -> dict[str, str]:
    """``traceparent`` and ``tracestate`` (W3C Trace Context) of the current span; empty where traces are off."""
    if _State.tracer is None:
        return {}
    from opentelemetry import propagate  # noqa: PLC0415 - an extra

    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


def trace_metadata() -> tuple[tuple[str, str], ...] | None:
    """The same as metadata of gRPC; ``None`` for none."""
    return tuple(trace_headers().items()) or None


def trace_with(tracer: Tracer | None) -> None:
    """Make spans with ``tracer`` from now on; with ``None`` none."""
    _State.tracer = tracer


def _dotted(name: str) -> str:
    """``http_response_status__code`` as ``http.response.status_code``."""
    return name.replace("__", "\0").replace("_", ".").replace("\0", "_")
