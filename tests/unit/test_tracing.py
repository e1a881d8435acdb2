"""Spans of a search and of a batch, and what servers are told of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.conftest import Service
from tests.fakes import FAKES
from tests.stubs import embeddings, qdrant_server
from tests.stubs import rerank_servers as reranks
from tests.stubs.embeddings import DIMENSIONS
from tests.stubs.server import serve
from tests.wire.test_remote_two_stages import by_path
from winnow.cli.tracing import tracing
from winnow.core.errors import InvalidSettings
from winnow.core.settings import load_settings
from winnow.core.tracing import batch_span, trace_headers, trace_metadata, trace_with

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "secretquery"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace_with(provider.get_tracer("test"))
    yield exporter
    trace_with(None)


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


@pytest.mark.parametrize("grpc", [True, False], ids=["grpc", "http"])
async def test_a_search_is_one_trace_through_models_and_store(
    tmp_path: Path, spans: InMemorySpanExporter, grpc: bool
) -> None:
    key = reranks.KEY
    models = by_path(embeddings.DashScopeStub(key=key), reranks.DashScopeStub())
    async with serve(models) as stub, qdrant_server.serve() as store:
        dashscope = {"provider": "dashscope", "url": stub.url, "api_key": key}
        chosen: dict[str, Any] = FAKES | {
            "embedding": dashscope | {"dimensions": DIMENSIONS},
            "rerank": dashscope,
            "catalog": {"url": f"sqlite:///{tmp_path / 'winnow.db'}"},
            "vectors": {"provider": "qdrant", "url": store.url, "grpc_port": store.grpc_port, "prefer_grpc": grpc},
        }
        service = Service(load_settings(data_dir=tmp_path, **chosen))
        try:
            await service.fill("docs", [{"id": "one", "text": "copy a file"}])
            batches = [span for span in spans.get_finished_spans() if span.name == "index batch"]
            spans.clear()
            stub.calls.clear()
            store.traces.clear()
            url = "/v1/collections/docs/search"
            answer = await service.client.post(url, json={"query": SECRET}, headers={"traceparent": PARENT})
            await service.client.get("/healthz")
        finally:
            await service.close()
            assert service.resources.reranker is not None
            await service.resources.reranker.close()
    assert answer.status_code == 200, answer.text
    found = {span.name: span for span in spans.get_finished_spans()}
    request = found["POST /v1/collections/{name}/search"]
    assert {"embeddings text-embedding-v4", "qdrant searching"} <= set(found), found.keys()
    assert any(name.startswith("rerank ") for name in found)
    assert {trace_of(span) for span in found.values()} == {PARENT.split("-")[1]}
    assert request.attributes is not None
    assert request.attributes["http.response.status_code"] == 200
    assert found["embeddings text-embedding-v4"].attributes["gen_ai.usage.input_tokens"] > 0  # type: ignore[index,operator]
    assert {call.headers["traceparent"].split("-")[1] for call in stub.calls} == {PARENT.split("-")[1]}
    assert {each.split("-")[1] for each in store.traces} == {PARENT.split("-")[1]}
    assert SECRET not in "".join(span.to_json() for span in found.values())
    assert [span.attributes["winnow.collection"] for span in batches] == ["docs"]  # type: ignore[index]


def test_nothing_is_sent_where_traces_are_off() -> None:
    assert trace_headers() == {}
    assert trace_metadata() is None


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(InvalidSettings, match=r"extra `tracing`: pip install"), tracing(load_settings(tracing=True)):
        pass


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"OTEL_TRACES_EXPORTER": "jaeger"}, "no such exporter"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "smoke"}, "use one of"),
    ],
)
def test_an_exporter_that_is_not_there_is_an_error(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], complaint: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings, match=complaint), tracing(load_settings(tracing=True)):
        pass


def test_the_standard_variables_choose_the_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    made = SimpleNamespace(name="kept", load=lambda: lambda: exporter)
    monkeypatch.setattr("winnow.cli.tracing.entry_points", lambda group: [made] if "exporter" in group else [])
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "kept")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    with tracing(load_settings(tracing=True)):
        assert trace_headers() == {}, "outside of a span"
        with batch_span("docs", 3):
            assert trace_headers()["traceparent"].startswith("00-")
    (span,) = exporter.get_finished_spans()
    assert (span.name, span.resource.attributes["service.name"]) == ("index batch", "mine")
    assert trace_headers() == {}
