"""Sets traces up from OpenTelemetry's standard variables, ``OTEL_*``, where ``WINNOW_TRACING`` asks for them.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any, Final

from winnow.core.errors import InvalidSettings
from winnow.core.package import winnow_version
from winnow.core.settings import Settings
from winnow.core.tracing import trace_with

_EXTRA: Final = "WINNOW_TRACING needs the packages of the extra `tracing`: pip install 'winnow-search[tracing]'"
_PROTOCOLS: Final = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
SERVICE_NAME: Final = "winnow"


@contextmanager
def tracing(settings: Settings) -> Iterator[None]:
    """Trace while the block runs, if the settings say so; what is left is exported at its end.

    Raises:
        InvalidSettings: the packages are missing, or ``OTEL_*`` names an exporter that is not installed.
    """
    if not settings.tracing:
        yield
        return
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise InvalidSettings(_EXTRA) from error
    os.environ.setdefault("OTEL_SERVICE_NAME", SERVICE_NAME)
    provider = TracerProvider(resource=Resource.create({"service.version": winnow_version()}), shutdown_on_exit=False)
    for exporter in _exporters():
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace_with(provider.get_tracer(SERVICE_NAME, winnow_version()))
    try:
        yield
    finally:
        trace_with(None)
        provider.shutdown()


def _exporters() -> Iterator[Any]:
    """The exporters that ``OTEL_TRACES_EXPORTER`` names (``otlp`` unless set), which read their own variables."""
    asked = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    found = {each.name: each for each in entry_points(group="opentelemetry_traces_exporter")}
    for name in (part.strip() for part in asked.split(",")):
        if name == "none":
            continue
        actual = _otlp() if name == "otlp" else name
        if actual not in found:
            known = ", ".join(sorted({"none", "otlp", *found}))
            raise InvalidSettings(
                f"OTEL_TRACES_EXPORTER={name}: no such exporter is installed; known are {known}. {_EXTRA}"
            )
        yield found[actual].load()()


def _otlp() -> str:
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if (protocol or "http/protobuf") not in _PROTOCOLS:
        raise InvalidSettings(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: use one of {', '.join(_PROTOCOLS)}")
    return _PROTOCOLS[protocol or "http/protobuf"]
