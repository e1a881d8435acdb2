"""The metrics of one process."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from winnow.core.marks import WARNING_CODES
from winnow.core.search import SearchAnswer, SearchRequest, StageReport
from winnow.operations.metrics import Metrics


def answer(**changes: Any) -> SearchAnswer:
    report = StageReport("ok", ms=30)
    parts = {
        "id": "srch_1",
        "request": SearchRequest("books", "a secret query"),
        "results": (),
        "score_kind": "relevance",
        "degraded": False,
        "embed": report,
        "retrieve": report,
        "rerank": report,
        "took_ms": 90.0,
    }
    return SearchAnswer(**{**parts, **changes})


async def test_a_search_is_counted_by_stage() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.observe_search(answer())
    metrics.observe_search(answer(score_kind="retrieval", degraded=True, rerank=StageReport("timeout", ms=800)))

    assert (
        registry.get_sample_value(
            "winnow_search_seconds_count", {"score_kind": "relevance", "speed": "full", "degraded": "false"}
        )
        == 1
    )
    assert (
        registry.get_sample_value(
            "winnow_search_seconds_count", {"score_kind": "retrieval", "speed": "full", "degraded": "true"}
        )
        == 1
    )
    assert registry.get_sample_value("winnow_stage_seconds_sum", {"stage": "embed", "status": "ok"}) == 0.06
    assert registry.get_sample_value("winnow_stage_seconds_count", {"stage": "rerank", "status": "timeout"}) == 1
    assert b"secret" not in (await metrics.text())


async def test_documents_and_requests_are_counted() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.observe_documents("indexed", 5)
    metrics.observe_documents("failed")
    metrics.observe_http("operations", "/healthz", "GET", 200, 0.002)
    metrics.observe_http("operations", "/healthz", "MADEUP", 405, 0.002)

    assert registry.get_sample_value("winnow_documents_total", {"outcome": "indexed"}) == 5
    labels = {"door": "operations", "route": "/healthz", "method": "GET", "status": "200"}
    assert registry.get_sample_value("winnow_http_request_seconds_count", labels) == 1
    assert registry.get_sample_value("winnow_http_request_seconds_sum", labels) == 0.002
    assert "MADEUP" not in (await metrics.text()).decode()


async def test_warnings_are_counted_by_code_and_those_of_others_together() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    for code in ("pages_without_text", "pages_without_text", "invented-by-a-client", "another"):
        metrics.observe_warning(code)
    assert registry.get_sample_value("winnow_document_warnings_total", {"code": "pages_without_text"}) == 2
    assert registry.get_sample_value("winnow_document_warnings_total", {"code": "other"}) == 2
    assert "invented" not in (await metrics.text()).decode()


def test_every_warning_that_a_reader_gives_has_a_code_of_its_own_in_metrics() -> None:
    sources = [path.read_text() for room in ("winnow", "indexer") for path in Path(room).rglob("*.py")]
    given = {code for source in sources for code in re.findall(r'DocumentWarning\(\s*"(\w+)"', source)}
    assert given == WARNING_CODES


async def test_metrics_of_two_applications_are_apart() -> None:
    one, other = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    one.observe_documents("indexed")
    assert b"indexed" not in await other.text()
