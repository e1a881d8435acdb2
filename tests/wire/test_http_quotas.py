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


async def test_a_key_has_limits_of_its_own_which_may_be_changed(limited, still):
    service = limited(caller={"documents_per_day": 1000})
    everything = {"scopes": ["keys:admin", "collections:admin", "documents:write", "documents:read"]}
    admin = {"Authorization": f"Bearer {(await service.client.post('/v1/keys', json=everything)).json()['key']}"}
    await service.client.put("/v1/collections/docs", headers=admin)
    body = {"scopes": ["documents:write"], "limits": {"documents_per_day": 2}}
    made = (await service.client.post("/v1/keys", json=body, headers=admin)).json()
    assert made["limits"] == {"documents_per_day": 2}
    path, header = f"/v1/keys/{made['id']}", {"Authorization": f"Bearer {made['key']}"}

    async def put(name, who=header):
        answer = await service.client.put(f"/v1/collections/docs/documents/{name}", json={"text": "x"}, headers=who)
        return answer.status_code, answer

    assert [(await put(name))[0] for name in "ab"] == [202, 202]
    status, refused = await put("c")
    assert (status, refused.json()["code"]) == (429, "rate_limited")
    assert f"2 documents in 24 hours (documents_per_day of the key {made['id']}); 0 are left" in refused.text
    assert int(refused.headers["retry-after"]) > 60
    assert (await put("c", admin))[0] == 202  # a key without limits of its own has those of the settings
    raised = await service.client.put(f"{path}/limits", json={"limits": {"documents_per_day": 3}}, headers=admin)
    assert raised.json()["limits"] == {"documents_per_day": 3}
    assert [(await put(name))[0] for name in "cd"] == [202, 429]
    rotated = (await service.client.post(f"{path}:rotate", headers=admin)).json()
    assert rotated["limits"] == {"documents_per_day": 3}
    for limits in ({"documents_per_day": 0}, {"documents": 1}, {"tokens_per_day": True}, {"searches_per_second": 0.5}):
        answer = await service.client.put(f"{path}/limits", json={"limits": limits}, headers=admin)
        assert answer.status_code == 422, limits
        assert answer.json()["errors"][0]["loc"][:2] == ["limits", *limits], answer.text
    assert (await service.client.get(path, headers=admin)).json()["limits"] == {"documents_per_day": 3}


async def test_requests_and_searches_of_a_key_are_limited_where_no_setting_limits_any(limited, still):
    service = limited()
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    made = await service.client.post("/v1/keys", json={"limits": {"requests_per_second": 2, "searches_per_second": 1}})
    header = {"Authorization": f"Bearer {made.json()['key']}"}
    answers = [await service.client.get(f"{SEARCH}?q=copy", headers=header) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert "1 searches in a second" in answers[1].text
    assert "requests_per_second of the key" in answers[2].text


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("WINNOW_LIMITS__CALLER__SEARCHES_PER_SECOND", "20")
    monkeypatch.setenv("WINNOW_LIMITS__STORAGE", "redis://cache:6379/1")
    limits = load_settings(data_dir=tmp_path).limits
    assert (limits.caller.searches_per_second, limits.is_set, limits.counts_tokens) == (20, True, False)
