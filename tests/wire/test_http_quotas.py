"""Quotas over HTTP: what is counted, the headers that tell what is left, and the answer when nothing is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from tests.conftest import Service
from winnow.core.settings import Settings, load_settings
from winnow.core.settings.limits import LimitSettings

SEARCH = "/v1/collections/docs/search"


@pytest.fixture
async def limited(settings: Settings) -> AsyncIterator[Callable[..., Service]]:
    opened: list[Service] = []

    def make(**limits: object) -> Service:
        opened.append(Service(settings.model_copy(update={"limits": LimitSettings(**limits)})))
        return opened[-1]

    yield make
    for each in opened:
        await each.close()


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day in the middle of a window, where it stays."""
    monkeypatch.setattr("time.time", lambda: 1_000_000.5)


async def test_every_answer_says_what_is_left_and_the_one_too_many_is_refused(limited, still):
    service = limited(caller={"requests_per_second": 2})
    for left in ("1", "0"):
        answer = await service.client.get("/v1/collections")
        assert answer.status_code == 200
        told = [answer.headers[f"ratelimit-{name}"] for name in ("limit", "remaining", "reset")]
        assert told[:2] == ["2", left]
        assert int(told[2]) >= 0
    refused = await service.client.get("/v1/collections")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["ratelimit-remaining"] == "0"
    assert int(refused.headers["retry-after"]) >= 1
    assert (await service.client.get("/healthz")).status_code == 200  # open to all: not counted


async def test_a_door_refuses_in_the_shape_of_its_protocol(limited, still):
    service = limited(caller={"requests_per_second": 1})
    await service.client.get("/v1/collections")
    refused = await service.client.post("/v1/embeddings", json={"model": "m", "input": "a"})
    assert refused.status_code == 429
    assert "error" in refused.json()


async def test_searches_in_one_request_count_each(limited, still):
    service = limited(caller={"searches_per_second": 3})
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    many = {"collections": ["docs"], "queries": ["copy", "file"]}
    assert (await service.client.post("/v1/search", json=many)).status_code == 200
    assert (await service.client.post("/v1/search", json=many)).status_code == 429
    assert (await service.client.get(f"{SEARCH}?q=copy")).status_code == 200
    assert (await service.client.get(f"{SEARCH}?q=copy")).status_code == 429
    assert (await service.client.get("/v1/collections")).status_code == 200


async def test_documents_are_counted_by_the_day_and_none_of_a_refused_batch_is_stored(limited, still):
    service = limited(caller={"documents_per_day": 3})
    await service.client.put("/v1/collections/docs")
    batch = [{"id": str(number), "text": "copy"} for number in range(2)]
    path = "/v1/collections/docs/documents"
    assert (await service.client.post(path, json={"documents": batch})).status_code == 202
    refused = await service.client.post(path, json={"documents": [{"id": "x", "text": "a"}, {"id": "y", "text": "b"}]})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert [each["id"] for each in (await service.client.get(path)).json()["documents"]] == ["0", "1"]
    assert (await service.client.put(f"{path}/z", json={"text": "c"})).status_code == 202


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("WINNOW_LIMITS__CALLER__SEARCHES_PER_SECOND", "20")
    monkeypatch.setenv("WINNOW_LIMITS__STORAGE", "redis://cache:6379/1")
    limits = load_settings(data_dir=tmp_path).limits
    assert (limits.caller.searches_per_second, limits.is_set, limits.counts_tokens) == (20, True, False)
