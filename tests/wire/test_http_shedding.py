"""Searches that are turned away before they are routed, while a queue lasts."""

from __future__ import annotations

import pytest

from tests.conftest import Service
from winnow.search.admission_queue import NoPlace

PATH = "/v1/collections/docs/search"


@pytest.fixture
async def crowded(service: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service whose queue is too long for any search."""
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    queue = service.app.state.service.work.searches.queue
    monkeypatch.setattr(queue, "refuse_standing", lambda _: NoPlace(7))
    return service


async def test_a_search_is_turned_away_before_it_is_read(crowded: Service) -> None:
    answer = await crowded.client.post(PATH, content=b"{ this is not read")
    assert (answer.status_code, answer.json()["code"]) == (429, "overloaded")
    assert answer.headers["Retry-After"] == "7"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    assert (await crowded.client.get(PATH, params={"q": "copy"})).status_code == 429
    metrics = (await crowded.client.get("/metrics")).text
    assert 'winnow_search_errors_total{code="overloaded"} 2.0' in metrics
    assert any('route="/v1/collections/{name}/search"' in each and 'status="429"' in each for each in metrics.split())


async def test_what_is_not_a_search_is_answered(crowded: Service) -> None:
    for path in ("/v1/collections/docs", "/v1/collections/docs/suggest?q=co", "/healthz"):
        assert (await crowded.client.get(path)).status_code == 200
    assert (await crowded.client.get("/v1/collections/docs/documents/search")).status_code == 404
