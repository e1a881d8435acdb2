"""Over a real socket: what only a server between client and service can get wrong."""

from __future__ import annotations

import asyncio
import socket

import httpx2
import pytest
import uvicorn

from service.connections import LimitedConnections
from service.lifespan import begin_drain

DOCS = "/v1/collections/docs/documents"


@pytest.fixture
async def server(service):
    """The address of the service behind uvicorn, on a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        service.app, log_config=None, access_log=False, http=LimitedConnections, timeout_graceful_shutdown=5
    )
    running = uvicorn.Server(config)
    serving = asyncio.create_task(running._serve(sockets=[listener]))
    while not running.started:
        await asyncio.sleep(0.005)
    yield "127.0.0.1", listener.getsockname()[1]
    running.should_exit = True
    await serving


@pytest.fixture
async def remote(server):
    """A client over TCP."""
    host, port = server
    async with httpx2.AsyncClient(base_url=f"http://{host}:{port}") as client:
        await client.put("/v1/collections/docs")
        yield client


async def talk(server, request):
    """Send raw bytes, return the whole answer."""
    reader, writer = await asyncio.open_connection(*server)
    writer.write(request)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer.decode()


async def test_escaped_slash_and_unicode_reach_the_same_document(remote):
    assert (await remote.put(f"{DOCS}/guide%2F%C3%BCber%20uns.md", json={"text": "x"})).status_code == 202
    assert (await remote.get(f"{DOCS}/guide/über uns.md")).json()["id"] == "guide/über uns.md"


async def test_body_over_the_limit_is_answered_before_it_is_sent(server):
    head = "POST /v1/collections/docs/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = await talk(server, f"{head}Content-Length: 99999999999\r\n\r\n".encode())
    assert answer.startswith("HTTP/1.1 413")
    assert "body_too_large" in answer


async def test_foreign_host_is_refused(server):
    answer = await talk(server, b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert answer.startswith("HTTP/1.1 421")


async def test_events_arrive_while_the_work_goes_on_and_end_on_drain(service, remote):
    job_id = (await remote.put(f"{DOCS}/a", json={"text": "x"})).json()["job_id"]
    async with remote.stream("GET", f"/v1/jobs/{job_id}/events") as response:
        lines = response.aiter_lines()
        assert await anext(lines) == "event: progress"
        begin_drain(service.app)
        assert "event: done" not in [line async for line in lines]


async def test_caller_who_hangs_up_in_the_middle_of_a_body_is_no_error(server, remote, caplog):
    _, writer = await asyncio.open_connection(*server)
    writer.write(f"POST {DOCS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode())
    writer.write(b"Content-Length: 1000\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await remote.get("/healthz")).status_code == 200
    assert not [record for record in caplog.records if record.exc_info]


async def test_bytes_beyond_ascii_in_an_address_are_read_as_utf8(service, server, remote):
    await service.fill("docs", [{"id": "a", "text": "A café by the sea"}])
    line = "GET /v1/collections/docs/search?q=café&top_n=1 HTTP/1.1"
    for _ in range(2):
        answer = await talk(server, f"{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith("HTTP/1.1 200")
        assert '"query":"café"' in answer


async def test_what_is_no_http_is_a_problem_that_says_so(server):
    answer = await talk(server, b"GET /v1/collections/docs/search?q=a b HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.startswith("HTTP/1.1 400")
    assert "application/problem+json" in answer
    assert "--data-urlencode" in answer


async def test_a_search_whose_caller_hangs_up_is_cancelled(service, server, remote, monkeypatch):
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(*_, **__):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(service.resources.search, "run", endless)
    body = b'{"query": "x"}'
    head = f"POST /v1/collections/docs/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    _, writer = await asyncio.open_connection(*server)
    writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
    await begun.wait()
    writer.close()
    await asyncio.wait_for(ended.wait(), 10)


async def test_head_is_answered_wherever_get_is(service, remote):
    await service.fill("docs", [{"id": "a", "text": "x"}])
    for path in ("/healthz", "/v1/models", "/v1/collections", f"{DOCS}/a", "/v1/vector_stores", "/v1/collections/none"):
        got, head = await remote.get(path), await remote.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        for name in ("content-type", "content-length"):
            assert head.headers[name] == got.headers[name]
    assert (await remote.head("/v1/search")).status_code == 405


async def test_head_of_a_stream_ends_at_once(service, remote):
    job_id = (await remote.put(f"{DOCS}/a", json={"text": "x"})).json()["job_id"]
    head = await remote.head(f"/v1/jobs/{job_id}/events")
    assert head.headers["content-type"].startswith("text/event-stream")
