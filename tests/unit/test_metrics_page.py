"""docs/operations/metrics.md lists every metric that a process exports, with type, labels and meaning, and no other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import httpx2
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app
from tests.fakes import FAKES
from winnow.core.instruments import ENGINE_RESTARTS, EXHAUSTED, RETRIES, ModelCall
from winnow.core.settings import load_settings
from winnow.operations.metrics import search_buckets
from winnow.runtime import open_local

PAGE: Final = Path(__file__).parents[2] / "docs" / "operations" / "metrics.md"
ROW: Final = re.compile(r"\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \|")
FORBIDDEN: Final = {"collection", "document", "key", "principal", "query", "subject", "tenant", "user"}
SECRET: Final = ("secretcollection", "secretdocument", "secretquery")


class Row(NamedTuple):
    """A row of the page."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


def rows() -> list[Row]:
    """The table of the page."""
    found = [ROW.fullmatch(line) for line in PAGE.read_text("utf-8").splitlines()]
    parts = [each.groups() for each in found if each]
    return [Row(name, kind, tuple(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in parts]


def exported_name(metric: Metric) -> str:
    """The name of the family's samples, which for a counter ends in ``_total``."""
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def labels_of(metric: Metric) -> set[frozenset[str]]:
    """The names of the labels of its samples, without the bounds of buckets."""
    return {frozenset(sample.labels) - {"le"} for sample in metric.samples}


@pytest.fixture
async def exported(tmp_path: Path) -> Sequence[Metric]:
    """What a service exports that has indexed a document, answered a search and refused another one."""
    EXHAUSTED.labels("embed").inc()
    RETRIES.labels("store").inc()
    ENGINE_RESTARTS.inc(0)
    with pytest.raises(TimeoutError), ModelCall("rerank", "m"):
        raise TimeoutError
    settings = load_settings(data_dir=tmp_path, **FAKES)
    async with open_local(settings) as local:
        app = create_app(settings, local.resources)
        local.worker.on_outcomes = app.state.service.metrics.observe_outcomes
        app.state.service.metrics.live.worker = lambda: (0, 0.0)
        transport = httpx2.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            await client.put(f"/v1/collections/{SECRET[0]}", json={})
            document = {"id": SECRET[1], "text": "some words", "warnings": []}
            await client.post(f"/v1/collections/{SECRET[0]}/documents", json={"documents": [document]})
            await local.worker.work_once()
            for query in (SECRET[2], SECRET[2], ""):
                await client.post(f"/v1/collections/{SECRET[0]}/search", json={"query": query})
            await client.post("/v1/collections/none/search", json={"query": SECRET[2]})
            await client.get(f"/v1/collections/{SECRET[0]}/documents/{SECRET[1]}?tenant=secrettenant")
            text = (await client.get("/metrics")).text
    assert "secret" not in text
    return list(text_string_to_metric_families(text))


async def test_the_page_lists_what_is_exported(exported: Sequence[Metric]) -> None:
    documented = {row.name: row for row in rows()}
    ours = {exported_name(each): each for each in exported if not each.name.startswith("process_")}
    assert set(documented) == set(ours)
    for name, metric in ours.items():
        row = documented[name]
        assert (row.kind, row.meaning) == (metric.type, metric.documentation), name
        assert labels_of(metric) <= {frozenset(row.labels)}, name


async def test_process_metrics_are_there(exported: Sequence[Metric]) -> None:
    names = {each.name for each in exported}
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "process_open_fds"} <= names


async def test_a_search_moves_what_it_should(exported: Sequence[Metric]) -> None:
    def value(name: str, **labels: str) -> float:
        found = [
            each.value for metric in exported for each in metric.samples if (each.name, each.labels) == (name, labels)
        ]
        assert len(found) == 1, (name, labels, found)
        return found[0]

    assert value("winnow_search_seconds_count", score_kind="relevance", speed="full", degraded="false") == 2
    assert value("winnow_cache_requests_total", cache="embed", outcome="hit") == 1
    assert value("winnow_pool_requests_total", pool="searches", outcome="admitted") == 4
    assert value("winnow_search_errors_total", code="collection_not_found") == 1
    assert value("winnow_documents_total", outcome="indexed") == 1
    assert value("winnow_freshness_seconds_count") == 1
    assert value("winnow_backlog_documents") == 0
    assert value("winnow_backlog_oldest_seconds") == 0
    assert value("winnow_breaker_open", stage="embed", model="fake-words") == 0
    assert value("winnow_disk_free_bytes") > 0


def test_no_label_names_a_caller_or_a_text() -> None:
    assert not FORBIDDEN & {label for row in rows() for label in row.labels}


def test_names_end_in_their_unit() -> None:
    for row in rows():
        if row.kind == "histogram":
            assert row.name.endswith("_seconds"), row.name
        if row.kind == "counter":
            assert row.name.endswith("_total"), row.name


async def test_no_counter_repeats_the_count_of_a_histogram(exported: Sequence[Metric]) -> None:
    counted = {each.name.removesuffix("_seconds"): labels_of(each) for each in exported if each.type == "histogram"}
    for each in exported:
        if each.type == "counter" and each.name in counted:
            assert labels_of(each) != counted[each.name], each.name


@pytest.mark.parametrize("budget", [300.0, 800.0, 3000.0, 10_000.0])
def test_buckets_are_dense_around_the_budget(budget: float) -> None:
    bounds = search_buckets(budget)
    assert list(bounds) == sorted(set(bounds))
    assert len(bounds) <= 16
    assert len([each for each in bounds if 0.5 <= each / (budget / 1000) <= 1.5]) >= 5
