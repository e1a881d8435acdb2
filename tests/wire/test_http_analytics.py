"""What visitors do over HTTP: ids of searches, events, what is counted, exported and deleted, and who may."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from service.access import LocalCallers
from tests.conftest import Service
from tests.wire.test_http_keys import Doors
from winnow.core.errors import StorageFailure, UpstreamUnavailable
from winnow.core.settings import Settings
from winnow.core.settings.analytics import AnalyticsSettings
from winnow.operations.search_ids import SEARCH_ID_SECONDS

SEARCH, ANALYTICS = "/v1/collections/docs/search", "/v1/collections/docs/analytics"
DOCUMENTS = [
    {"id": "a", "text": "copy a file", "title": "Alpha"},
    {"id": "b/c", "text": "copy a folder", "title": "Beta"},
    {"id": "t", "text": "copy of another tenant", "tenant": "t"},
]


@pytest.fixture
async def visited(settings: Settings) -> AsyncIterator[Service]:
    """A service that records what visitors do."""
    service = Service(settings.model_copy(update={"analytics": AnalyticsSettings(enabled=True)}))
    await service.fill("docs", DOCUMENTS)
    yield service
    await service.close()


async def search(service: Service, query: str, **options: Any) -> dict[str, Any]:
    answer = await service.client.post(SEARCH, json={"query": query, **options})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def send(service: Service, *events: dict[str, Any], **options: Any) -> dict[str, Any]:
    answer = await service.client.post("/v1/events", json={"events": events}, **options)
    assert answer.status_code == 202, answer.text
    return answer.json()


def click(found: dict[str, Any], rank: int = 1, **other: Any) -> dict[str, Any]:
    shown = {"document_id": found["results"][rank - 1]["document_id"]} if found["results"] else {}
    return {"type": "click", "search_id": found["search_id"], "position": rank, **shown, **other}


async def counted(service: Service, **params: Any) -> dict[str, Any]:
    answer = await service.client.get(ANALYTICS, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_nothing_is_recorded_unless_the_setting_says_so(service: Service) -> None:
    await service.fill("docs", DOCUMENTS)
    found = await search(service, "file", session="s")
    assert "search_id" not in found
    sent = await service.client.post("/v1/events", json={"events": [click({**found, "search_id": "x"})]})
    assert (sent.status_code, sent.json()["code"]) == (409, "analytics_disabled")
    assert "WINNOW_ANALYTICS__ENABLED" in sent.json()["detail"]
    report = await counted(service)
    assert (report["enabled"], report["totals"]["searches"]) == (False, 0)


async def test_searches_and_clicks_are_counted(visited: Service) -> None:
    first = await search(visited, "Copy  a FILE", session="1")
    await search(visited, "copy a file", session="2")
    nothing = await search(visited, "zebra", mode="sparse", session="3")
    assert nothing["results"] == []
    assert await send(visited, click(first, 2), click(first, 2)) == {"accepted": 2, "rejected": []}
    await send(visited, {**click(first), "type": "conversion", "session": "1"})
    report = await counted(visited)
    totals = {"searches": 3, "without_results": 1, "clicked": 1, "degraded": 0, "sessions": 3}
    assert report["totals"] == totals | {"clicks": 1, "conversions": 1}
    top, other = report["top_queries"]
    assert top["query"].casefold().split() == ["copy", "a", "file"]
    assert (top["searches"], top["clicks"], top["conversions"], top["position"]) == (2, 1, 1, 2.0)
    assert other["query"] == "zebra"
    assert [each["query"] for each in report["nothing_found"]] == ["zebra"]
    assert report["nothing_clicked"] == []
    assert report["click_positions"] == {"mean": 2.0, "counts": [{"position": 2, "clicks": 1}]}
    assert [(each["speed"], each["searches"]) for each in report["speed"]] == [("full", 3)]
    [day] = report["days"]
    assert (day["searches"], day["clicks"]) == (3, 1)


async def test_a_search_that_was_still_being_typed_does_not_count(visited: Service) -> None:
    for typed in ("c", "co", "copy"):
        await search(visited, typed, mode="instant", session="v")
    await search(visited, "copy", session="v")
    await search(visited, "file", session="v")
    await search(visited, "copy", mode="instant")
    report = await counted(visited)
    assert {each["query"]: each["searches"] for each in report["top_queries"]} == {"copy": 2, "file": 1}


async def test_a_search_that_no_visitor_made_is_left_out(visited: Service) -> None:
    assert "search_id" not in await search(visited, "copy", analytics=False)
    by_get = await visited.client.get(SEARCH, params={"q": "copy", "analytics": "false"})
    in_steps = await visited.client.get(
        SEARCH, params={"q": "copy", "analytics": "false"}, headers={"Accept": "text/event-stream"}
    )
    assert (by_get.status_code, in_steps.status_code) == (200, 200)
    assert "search_id" not in by_get.text + in_steps.text
    assert (await counted(visited))["totals"]["searches"] == 0


async def test_a_search_in_steps_counts_once_and_each_step_takes_clicks(visited: Service) -> None:
    body, headers = {"query": "alpha", "session": "v"}, {"Accept": "text/event-stream"}
    answer = await visited.client.post(SEARCH, json=body, headers=headers)
    steps = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert steps[0]["speed"] == "instant"
    assert len({each["search_id"] for each in steps}) == len(steps) == 3
    assert (await send(visited, *map(click, steps)))["accepted"] == 3
    report = await counted(visited)
    assert (report["totals"]["searches"], report["totals"]["clicked"]) == (1, 1)


async def test_events_that_do_not_fit_their_search_are_named(visited: Service) -> None:
    found = await search(visited, "copy a file", session="v")
    payload, mac = found["search_id"].split(".")
    good = click(found)
    events = [
        good,
        {**good, "search_id": f"{payload}.{'A' * len(mac)}"},
        {**good, "search_id": f"{payload[:-2]}AA.{mac}"},
        {**good, "search_id": "nonsense"},
        {**good, "document_id": "t"},
        {**good, "position": 2},
        {**good, "position": None},
        {**good, "type": "clik"},
        {**good, "position": 0},
        "click",
    ]
    answer = await send(visited, *events)
    assert answer["accepted"] == 1
    codes = [(each["index"], each["code"]) for each in answer["rejected"]]
    invalid = [(index, "search_id_invalid") for index in (1, 2, 3)]
    shown = [(4, "document_not_shown"), (5, "position_mismatch")]
    assert codes == [*invalid, *shown, *((index, "invalid_event") for index in (6, 7, 8, 9))]
    assert all(each["message"] for each in answer["rejected"])
    assert (await counted(visited))["totals"]["clicks"] == 1


async def test_an_id_ends_after_a_day_and_with_its_collection(visited: Service) -> None:
    found = await search(visited, "copy a file")
    ids = visited.app.state.service.visitors.ids
    clock, ids.clock = ids.clock, lambda: clock() + timedelta(seconds=SEARCH_ID_SECONDS + 2)
    assert [each["code"] for each in (await send(visited, click(found)))["rejected"]] == ["search_id_expired"]
    ids.clock = clock
    await visited.client.delete("/v1/collections/docs")
    await visited.fill("docs", DOCUMENTS)
    assert [each["code"] for each in (await send(visited, click(found)))["rejected"]] == ["search_id_foreign"]


async def test_a_beacon_of_a_page_is_taken(visited: Service) -> None:
    found = await search(visited, "copy a file")
    body = json.dumps({"events": [click(found)]})
    sent = await visited.client.post("/v1/events", content=body, headers={"Content-Type": "text/plain;charset=UTF-8"})
    assert (sent.status_code, sent.json()["accepted"]) == (202, 1)
    headers = {"Content-Type": "text/plain", "Origin": "https://evil.example"}
    refused = await visited.client.post("/v1/events", content=body, headers=headers)
    assert refused.status_code == 403
    for form in (b"not json", b'{"events": []}', b'{"events": {}}', b"[]"):
        wrong = await visited.client.post("/v1/events", content=form, headers={"Content-Type": "text/plain"})
        assert wrong.status_code in (400, 422), form


async def test_a_beacon_has_its_credential_in_the_address(visited: Service) -> None:
    made = await visited.client.post("/v1/keys", json={"scopes": ["search", "keys:admin"]})
    doors = Doors(visited, made.json()["key"])
    key = (await doors.make("search", collections=["docs"]))["key"]
    found = (await doors.send("POST", SEARCH, key, json={"query": "copy a file"})).json()
    for sent_with, status in ((key, 202), (doors.admin, 403), ("wrong", 401)):
        sent = await visited.client.post(f"/v1/events?access_token={sent_with}", json={"events": [click(found)]})
        assert sent.status_code == status, sent.text
    page = (await doors.make("search", origins=["https://docs.example.com"]))["key"]
    for origin, status in (("https://docs.example.com", 202), ("https://evil.example", 403)):
        headers = {"Content-Type": "text/plain;charset=UTF-8", "Origin": origin, "Sec-Fetch-Site": "cross-site"}
        body = json.dumps({"events": [click(found)]})
        sent = await visited.client.post(f"/v1/events?access_token={page}", content=body, headers=headers)
        assert sent.status_code == status, sent.text
    searched = await visited.client.post(f"{SEARCH}?access_token={key}", json={"query": "copy"})
    assert searched.status_code == 401, "of events alone"


async def test_searches_and_events_of_algolias_clients_are_kept(visited: Service) -> None:
    options = {"clickAnalytics": True, "userToken": "anonymous-1", "hitsPerPage": 1, "page": 1}
    sent = await visited.client.post("/1/indexes/docs/query", json={"query": "copy", **options})
    found = sent.json()
    hit = {"index": "docs", "objectIDs": [found["hits"][0]["objectID"]], "userToken": "anonymous-1"}
    events = [
        {"eventType": "click", "eventName": "Hit", "queryID": found["queryID"], "positions": [2], **hit},
        {"eventType": "conversion", "eventName": "Read", "queryID": found["queryID"], **hit},
        {"eventType": "click", "eventName": "Hit", "queryID": found["queryID"], "positions": [1], **hit},
        {"eventType": "click", "eventName": "Hit", **hit},
        {"eventType": "view", "eventName": "Seen", "queryID": found["queryID"], **hit},
    ]
    body = json.dumps({"events": events})
    sent = await visited.client.post("/1/events", content=body, headers={"Content-Type": "text/plain"})
    assert sent.status_code == 200, sent.text
    assert sent.json()["message"].startswith("2 kept; 1 left out: the event has no queryID")
    assert "type 'view' are not kept" in sent.json()["message"]
    assert "another document at position 1" in sent.json()["message"]
    exported = [json.loads(line) for line in (await visited.client.get(f"{ANALYTICS}/export")).text.splitlines()]
    (only,) = exported
    assert (only["query"], only["session"], only["first"]) == ("copy", "anonymous-1", 2)
    assert sorted(each["type"] for each in only["events"]) == ["click", "conversion"]


async def test_what_algolias_clients_ask_without_showing_hits_is_not_counted(visited: Service) -> None:
    queries = ({"query": ""}, {"query": "copy", "hitsPerPage": 0}, {"query": "copy", "page": 7})
    queries += ({"query": "copy", "analytics": False}, {"query": "nothing like it"})
    for query in queries:
        assert (await visited.client.post("/1/indexes/docs/query", json=query)).status_code == 200
    report = await counted(visited)
    assert [each["query"] for each in report["nothing_found"]] == ["nothing like it"]
    assert report["totals"]["searches"] == 1


async def test_events_of_algolias_clients_that_are_malformed_or_unwanted_say_so(service: Service) -> None:
    for body, status, what in (
        ({"events": [{"eventType": "click", "queryID": "x", "objectIDs": ["a"]}]}, 400, "as many positions"),
        ({"events": [{"queryID": "x"}]}, 400, "eventType"),
        ({"events": [{"eventType": "click", "queryID": "x", "objectIDs": ["a"], "positions": [1]}]}, 409, "ANALYTICS"),
    ):
        sent = await service.client.post("/1/events", json=body)
        assert (sent.status_code, sent.json()["status"]) == (status, status)
        assert what in sent.json()["message"]


async def test_events_that_cannot_be_stored_are_not_acknowledged(visited: Service, monkeypatch: Any) -> None:
    found = await search(visited, "copy a file")

    async def fail(*_: Any) -> None:
        raise StorageFailure("the disk failed")

    monkeypatch.setattr(visited.resources.catalog.analytics, "add_events", fail)
    sent = await visited.client.post("/v1/events", json={"events": [click(found)]})
    assert sent.status_code == 503
    assert "Retry-After" in sent.headers


async def test_a_search_is_answered_although_it_cannot_be_recorded(visited: Service, monkeypatch: Any) -> None:
    async def fail(*_: Any) -> None:
        raise UpstreamUnavailable("the catalog does not answer")

    monkeypatch.setattr(visited.resources.catalog.tokens, "signing_keys", fail)
    found = await search(visited, "copy a file")
    assert found["results"]
    assert found["search_id"] is None
    events = await visited.client.post(SEARCH, json={"query": "copy"}, headers={"Accept": "text/event-stream"})
    assert "event: final" in events.text
    assert (await counted(visited))["totals"]["searches"] == 0


async def test_commands_of_the_same_machine_are_not_visitors(visited: Service) -> None:
    transport = httpx2.ASGITransport(LocalCallers(visited.app))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as local:
        answer = await local.post(SEARCH, json={"query": "copy a file"})
    assert "search_id" not in answer.json()
    assert (await counted(visited))["totals"]["searches"] == 0


async def test_events_are_counted_under_their_route(visited: Service) -> None:
    await send(visited, click(await search(visited, "copy a file")), {})
    metrics = (await visited.client.get("/metrics")).text
    labels = 'door="api",method="POST",route="/v1/events",status="202"'
    assert f"winnow_http_request_seconds_count{{{labels}}} 1.0" in metrics
    assert 'winnow_visitor_events_total{outcome="click"} 1.0' in metrics
    assert 'winnow_visitor_events_total{outcome="rejected"} 1.0' in metrics


async def test_queries_are_in_no_log(visited: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    found = await search(visited, "copy secretword", session="secretsession")
    await send(visited, click(found), {**click(found), "document_id": "secretdocument"})
    await counted(visited)
    await visited.client.request("DELETE", ANALYTICS, params={"session": "secretsession"})
    trail = await visited.client.get("/v1/audit")
    ours = [each for each in caplog.records if each.name.startswith(("winnow", "service"))]
    for text in (trail.text, *(str(each.__dict__) for each in ours)):
        assert "secret" not in text


async def test_searches_are_exported_and_deleted(visited: Service) -> None:
    first, second = await search(visited, "copy a file", session="x"), await search(visited, "folder", session="y")
    await send(visited, click(first), click(second))
    lines = (await visited.client.get(f"{ANALYTICS}/export")).text.splitlines()
    exported = [json.loads(line) for line in lines]
    assert [each["query"] for each in exported] == ["copy a file", "folder"]
    assert exported[0]["shown"] == [each["document_id"] for each in first["results"]]
    assert [(each["type"], each["position"]) for each in exported[0]["events"]] == [("click", 1)]
    gone = await visited.client.request("DELETE", ANALYTICS, params={"session": "x"})
    assert gone.json() == {"searches": 1, "events": 1}
    assert [each["query"] for each in (await counted(visited))["top_queries"]] == ["folder"]
    assert (await visited.client.request("DELETE", ANALYTICS)).json() == {"searches": 1, "events": 1}
    trail = (await visited.client.get("/v1/audit?action=analytics.*")).json()["events"]
    assert [each["action"] for each in trail] == ["analytics.delete", "analytics.delete", "analytics.export"]


async def test_a_collection_takes_its_analytics_with_it(visited: Service) -> None:
    await send(visited, click(await search(visited, "copy a file")))
    await visited.client.delete("/v1/collections/docs")
    await visited.fill("docs", DOCUMENTS)
    assert (await counted(visited))["totals"]["searches"] == 0


async def suggested(service: Service, text: str, key: str | None = None, **params: str) -> list[tuple[str, str]]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    answer = await service.client.get("/v1/collections/docs/suggest", params={"q": text, **params}, headers=headers)
    assert answer.status_code == 200, answer.text
    return [(each["kind"], each["text"]) for each in answer.json()["suggestions"]]


async def test_what_several_visitors_found_is_suggested(visited: Service, monkeypatch: Any) -> None:
    monkeypatch.setattr("winnow.operations.popular_queries._SECONDS", 0)
    for visitor in range(4):
        await search(visited, "copy a file", session=str(visitor))
        await search(visited, "copy nothing", session=str(visitor), min_relevance=1.0)
    await search(visited, "copy a file", session="0")
    await counted(visited)  # writes
    assert not [kind for kind, _ in await suggested(visited, "cop") if kind == "query"], "of four sessions"
    await search(visited, "Copy a file", session="5")
    await search(visited, "copy nothing", session="5", min_relevance=1.0)
    await counted(visited)  # writes
    found = await suggested(visited, "cop")
    assert [text.casefold() for kind, text in found if kind == "query"] == ["copy a file"]
    assert not [kind for kind, _ in await suggested(visited, "alph") if kind == "query"]


async def test_queries_are_suggested_to_those_who_see_the_same_documents(visited: Service, monkeypatch: Any) -> None:
    monkeypatch.setattr("winnow.operations.popular_queries._SECONDS", 0)
    made = await visited.client.post("/v1/keys", json={"scopes": ["search", "operate", "keys:admin", "tokens:create"]})
    doors = Doors(visited, made.json()["key"])
    keys = {tenant: (await doors.make("search", tenant=tenant))["key"] for tenant in ("t", "u")}
    locked = {"collections": ["docs"], "groups": ["staff"]}
    minted = await doors.send("POST", "/v1/tokens", doors.admin, json={"sub": "alice", **locked})
    staff = minted.json()["token"]
    for visitor in range(5):
        for key, query in ((keys["t"], "copy in t"), (staff, "copy for staff")):
            body = {"query": query, "session": str(visitor)}
            assert (await doors.send("POST", SEARCH, key, json=body)).json()["results"], query
    await doors.send("GET", ANALYTICS, doors.admin)  # writes
    assert ("query", "copy in t") in await suggested(visited, "copy", keys["t"])
    assert ("query", "copy for staff") in await suggested(visited, "copy", staff)
    for key in (keys["u"], doors.admin):
        assert not [text for kind, text in await suggested(visited, "copy", key) if kind == "query"]


async def test_tenants_are_counted_apart(visited: Service) -> None:
    made = await visited.client.post("/v1/keys", json={"scopes": sorted("search operate keys:admin".split())})
    doors = Doors(visited, made.json()["key"])
    mine = (await doors.make("search", "operate", tenant="t"))["key"] if made.is_success else ""
    found = (await doors.send("POST", SEARCH, mine, json={"query": "copy"})).json()
    other = (await doors.send("POST", SEARCH, doors.admin, json={"query": "file"})).json()
    sent = await doors.send("POST", "/v1/events", mine, json={"events": [click(found), click(other)]})
    assert sent.json()["accepted"] == 1
    assert [each["code"] for each in sent.json()["rejected"]] == ["search_id_foreign"]
    seen = (await doors.send("GET", ANALYTICS, mine)).json()
    assert ([each["query"] for each in seen["top_queries"]], seen["tenant"]) == (["copy"], "t")
    assert (await doors.send("GET", f"{ANALYTICS}?tenant=other", mine)).status_code == 403
    everything = (await doors.send("GET", ANALYTICS, doors.admin)).json()
    assert everything["totals"]["searches"] == 2
