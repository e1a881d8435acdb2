"""Calls of tools by earlier clients are answered as the SDK's own sessions answer them, without a session."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.doors import mcp_calls
from tests.conftest import Service


def call(name: Any = "search", arguments: Any = None, **changes: Any) -> dict[str, Any]:
    arguments = {"query": "copy a file", "collection": "docs"} if arguments is None else arguments
    body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
    return {each: value for each, value in (body | changes).items() if value != "left out"}


BODIES: dict[str, Any] = {
    "search": call(),
    "an id of letters": call(id="a"),
    "fetch": call("fetch", {"id": "docs/0"}),
    "collections": call("list_collections", {}),
    "a wrong argument": call("search", {"query": 7}),
    "no such collection": call("search", {"query": "a", "collection": "nothing"}),
    "no such tool": call("delete", {}),
    "no name": call(None),
    "no arguments": call(params={"name": "list_collections"}),
    "params of another type": call(params=[1]),
    "no params": call(params="left out"),
    "an id of null": call(id=None),
    "no id": call(id="left out"),
    "another version": call(jsonrpc="1.0"),
    "several": [call(), call()],
    "tools": call(method="tools/list", params={}),
    "ping": call(method="ping", params="left out"),
    "an unknown method": call(method="tools/delete"),
    "a text": "text",
}
NEWER = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": NEWER,
    "io.modelcontextprotocol/clientInfo": {"name": "a", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
NEW = {"MCP-Protocol-Version": NEWER, "Mcp-Method": "tools/call", "Mcp-Name": "search"}
SENT = [
    NEW,
    NEW | {"Mcp-Name": "fetch"},
    NEW | {"Mcp-Method": "tools/list"},
    NEW | {"Mcp-Param-Query": "a"},
    {"MCP-Protocol-Version": NEWER},
    {},
    {"MCP-Protocol-Version": "2025-11-25"},
    {"MCP-Protocol-Version": "1999-01-01"},
    {"Accept": "application/json"},
    {"Accept": "text/html"},
    {"Content-Type": "text/plain"},
    {"Mcp-Session-Id": "a"},
]


def newer(body: Any) -> Any:
    """The request of a client of today."""
    if not isinstance(body, dict) or not isinstance(body.get("params"), dict):
        return body
    return body | {"params": body["params"] | {"_meta": META}}


@pytest.fixture
async def tools(service: Service):
    await service.fill("docs", [{"id": "0", "text": "how to copy a file"}, {"id": "1", "text": "the weather"}])
    async with service.app.router.lifespan_context(service.app):
        yield service


async def answered(tools: Service, body: Any, headers: dict[str, str]) -> tuple[int, str, Any]:
    sent = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"} | headers
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await tools.client.post("/mcp", content=content, headers=sent)
    said = json.loads(answer.text) if answer.text[:1] == "{" else answer.text
    return answer.status_code, answer.headers.get("content-type", ""), said


@pytest.mark.parametrize("headers", SENT, ids=str)
async def test_answers_are_those_of_a_session(tools, headers, monkeypatch):
    bodies = BODIES
    if headers.get("MCP-Protocol-Version") == NEWER:
        bodies = bodies | {f"{name}, newer": newer(body) for name, body in BODIES.items()}
    plain = {name: await answered(tools, body, headers) for name, body in bodies.items()}
    monkeypatch.setattr(mcp_calls, "_call_in", lambda _: None)
    for name, body in bodies.items():
        assert plain[name] == await answered(tools, body, headers), name
    assert headers or plain["search"][2]["result"]["structuredContent"]["results"][0]["id"] == "docs/0"


async def test_a_call_opens_no_session(tools, monkeypatch):
    await answered(tools, BODIES["search"], {})
    opened = []
    monkeypatch.setattr("mcp.server.streamable_http_manager.serve_connection", lambda *_, **__: opened.append(1))
    assert (await answered(tools, BODIES["search"], {}))[0] == 200
    assert not opened


async def test_bodies_that_are_not_json(tools, monkeypatch):
    bodies = [b"{", b"\xff", b"[" * 100_000, b""]
    plain = [await answered(tools, body, {}) for body in bodies]
    monkeypatch.setattr(mcp_calls, "_call_in", lambda _: None)
    assert plain == [await answered(tools, body, {}) for body in bodies]
