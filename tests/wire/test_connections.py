"""Limits of connections, over a real socket: large heads, slow heads and bodies, bodies together, and the end."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest
import uvicorn

from service.connections import LimitedConnections
from service.lifespan import begin_drain

HEAD = "POST /v1/collections/docs/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class Running(uvicorn.Server):
    """A server for a test."""

    @property
    def address(self):
        return self.servers[0].sockets[0].getsockname()


@pytest.fixture
def hasty(monkeypatch):
    """Deadlines that a test can wait for."""
    monkeypatch.setattr("service.connections.HEAD_SECONDS", 0.5)
    monkeypatch.setattr("service.connections.BODY_SECONDS", 0.5)


@pytest.fixture
async def server(service):
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        service.app, log_config=None, access_log=False, http=LimitedConnections, timeout_graceful_shutdown=1
    )
    running = Running(config)
    serving = asyncio.create_task(running._serve(sockets=[listener]))
    while not running.started:
        await asyncio.sleep(0.005)
    yield running
    running.should_exit = True
    await serving


async def talk(server, *parts: bytes, end: bool = False) -> str:
    """Send parts, return all that comes until the connection is closed."""
    reader, writer = await asyncio.open_connection(*server.address)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        if end:
            writer.write_eof()
        return (await asyncio.wait_for(reader.read(), 20)).decode()
    except ConnectionResetError:  # the server closed before it read everything
        return ""
    finally:
        await close(writer)


async def close(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def test_a_head_with_too_many_fields_is_refused(server):
    fields = "".join(f"X-{each}: 1\r\n" for each in range(120))
    answer = await talk(server, f"GET /healthz HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode())
    assert answer.startswith("HTTP/1.1 431 ")
    assert "head_too_large" in answer


@pytest.mark.parametrize("value", ["a" * (100 << 10), "a" * (1 << 20)])
async def test_a_large_field_is_refused_whether_or_not_it_ends(server, value):
    for end in ("\r\n\r\n", ""):
        head = f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Large: {value}{end}"
        answer = await talk(server, head.encode())
        assert not answer or answer.startswith("HTTP/1.1 431 ")


async def test_a_slow_head_and_a_slow_body_are_answered_and_closed(hasty, server):
    head = await talk(server, b"GET /healthz HT")
    assert head.startswith("HTTP/1.1 408 ")
    body = await talk(server, f"{HEAD}Content-Length: 100\r\n\r\n".encode(), b'{"query')
    assert body.startswith("HTTP/1.1 408 ")
    assert "too_slow" in body


async def test_a_connection_that_sends_nothing_is_closed_without_a_word(hasty, server):
    assert await talk(server) == ""


async def test_slow_connections_do_not_keep_others_from_an_answer(hasty, server):
    slow = [await asyncio.open_connection(*server.address) for _ in range(300)]
    for _, writer in slow:
        writer.write(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
    answer = await talk(server, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.startswith("HTTP/1.1 200 ")
    reading = (asyncio.wait_for(reader.read(), 60) for reader, _ in slow)
    answers = await asyncio.gather(*reading, return_exceptions=True)
    for each in answers:  # one whose time was up before it had sent anything is closed without an answer
        assert isinstance(each, ConnectionError) or not each or each.startswith(b"HTTP/1.1 408 ")
    await close(*(writer for _, writer in slow))


async def test_requests_on_too_many_connections_are_turned_away(server, monkeypatch):
    monkeypatch.setattr(LimitedConnections, "max_connections", 2)
    idle = [await asyncio.open_connection(*server.address) for _ in range(2)]
    while len(server.server_state.connections) < 2:
        await asyncio.sleep(0.005)
    answer = await talk(server, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await close(*(writer for _, writer in idle))
    assert answer.startswith("HTTP/1.1 503 ")
    assert "retry-after" in answer.lower()


async def test_a_health_check_of_http_1_0_needs_no_host(server):
    assert (await talk(server, b"GET /healthz HTTP/1.0\r\n\r\n")).startswith("HTTP/1.1 200 ")
    assert (await talk(server, b"GET /v1/collections HTTP/1.0\r\n\r\n")).startswith("HTTP/1.1 421 ")


async def test_a_request_that_the_end_cuts_off_is_told_so(service, server, monkeypatch):
    begun = asyncio.Event()

    async def endless(*_, **__):
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(service.resources.search, "run", endless)
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    body = b'{"query": "x", "budget_ms": 60000}'
    asked = asyncio.create_task(talk(server, f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body))
    await begun.wait()
    begin_drain(service.app)
    server.should_exit = True
    answer = await asked
    assert answer.startswith("HTTP/1.1 503 ")
    assert "shutting_down" in answer
    assert "application/problem+json" in answer


async def test_bodies_together_are_bounded(service):
    app = service.app.middleware_stack or service.app.build_middleware_stack()
    service.app.middleware_stack = app
    while not hasattr(app, "max_together"):
        app = app.app
    app.together = app.max_together
    answer = await service.client.put("/v1/collections/docs", json={})
    assert (answer.status_code, answer.json()["code"]) == (503, "too_many_bodies")
    app.together = 0
    assert (await service.client.put("/v1/collections/docs", json={})).status_code in (200, 201)
    assert app.together == 0
