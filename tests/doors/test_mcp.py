"""The Model Context Protocol, called by the SDK's own client: over HTTP and over pipes, with a session and without."""

from __future__ import annotations

import json
import sys

import httpx2

from tests.doors.conftest import ROOT, Client

COPYING = {"guides/copy/guides", "notes/copy/notes"}


def test_over_http(foreign: Client) -> None:
    found = foreign("mcp_http")
    assert found["tools"] == {
        "search": ["collection", "expand", "filter", "max_tokens", "query", "top_n"],
        "fetch": ["id"],
        "list_collections": [],
    }
    assert found["read_only"]
    results = found["found"]["results"]
    assert {each["id"] for each in results[:2]} == COPYING
    assert [each["relevance_score"] for each in results] == sorted(
        (each["relevance_score"] for each in results), reverse=True
    )
    assert results[0]["url"] == f"https://site.example/{results[0]['collection']}"
    (text,) = found["text"]
    assert json.loads(text) == found["found"]
    (one,) = found["one"]["results"]
    assert one["id"] == "guides/copy/guides"
    assert found["whole"]["id"] == results[0]["id"]
    assert found["whole"]["text"] == f"how to copy a file, in {results[0]['collection']}"
    listed = found["listed"]["collections"]
    own = [each for each in listed if each["name"] in ("guides", "notes")]  # others' tests make collections beside
    assert [(each["name"], each["documents"], each["fields"]) for each in own] == [
        ("guides", 2, {"lang": "keyword"}),
        ("notes", 2, {}),
    ]
    failed, message = found["missing"]
    assert failed
    assert "no collection 'nothing'" in message
    assert found["narrowed"] == {"results": [], "degraded": False, "left_out": ["notes"]}


def test_a_client_of_the_earlier_generation(foreign: Client) -> None:
    found = foreign("mcp_earlier")
    assert found["client"].startswith("1.")
    assert found["protocol"] < "2026"
    assert found["tools"] == ["fetch", "list_collections", "search"]
    results = found["found"]["results"]
    assert {each["id"] for each in results[:2]} == COPYING
    (text,) = found["text"]
    assert json.loads(text) == found["found"]
    assert found["whole"]["id"] == results[0]["id"]
    failed, message = found["missing"]
    assert failed
    assert "no collection 'nothing'" in message


def test_over_pipes(foreign: Client) -> None:
    found = foreign("mcp_stdio", sys.executable, str(ROOT))
    assert found["version"] < "2026"
    for name in ("found", "earlier"):
        (result,) = found[name]["results"]
        assert result["id"] in COPYING


def test_a_call_without_a_session(live: str) -> None:
    headers = {"Accept": "application/json, text/event-stream"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    response = httpx2.post(f"{live}/mcp", json=body, headers=headers)
    assert {each["name"] for each in response.json()["result"]["tools"]} == {"search", "fetch", "list_collections"}


def test_another_host_is_refused(live: str) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    headers = {"Host": "evil.example", "Accept": "application/json, text/event-stream"}
    assert httpx2.post(f"{live}/mcp", json=body, headers=headers).status_code == 421
