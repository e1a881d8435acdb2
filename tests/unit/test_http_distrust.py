"""The client for models: what it does not believe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web

from tests.stubs.calls import answering, calling, client_of, error_of, no_waits
from tests.stubs.server import reply, serve
from winnow.core.errors import UpstreamRejected
from winnow.core.settings.base import Endpoint
from winnow.models.http.client import ModelClient

MIB = 1 << 20
__all__ = ["no_waits"]  # a fixture


class TestDistrust:
    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (lambda: web.Response(text="<!doctype html><p>Welcome", content_type="text/html"), "a web page"),
            (lambda: web.Response(text=" <html>", content_type="application/json"), "a web page"),
            (lambda: web.Response(text="OK"), "text/plain"),
            (lambda: web.Response(text='{"data": [1, 2', content_type="application/json"), "not valid JSON"),
            (lambda: web.Response(text='{"data": NaN}', content_type="application/json"), "not valid JSON"),
            (lambda: web.Response(body=b""), "not valid JSON"),
            (lambda: web.Response(body=b'"\xff\xfe"', content_type="application/json"), "not valid JSON"),
        ],
        ids=["html", "html in disguise", "text", "cut off", "NaN", "empty", "not UTF-8"],
    )
    async def test_what_is_not_json_is_refused(self, answer: Callable[[], web.Response], said: str) -> None:
        async with calling(answering(answer)) as (client, stub):
            error = await error_of(client.post("/x", {}))
        assert isinstance(error, UpstreamRejected)
        assert said in error.message
        assert f"acme at {stub.url}/x" in error.message
        assert "WINNOW_EMBEDDING__URL" in error.message
        assert len(stub.calls) == 1

    async def test_a_gigabyte_is_not_read_when_it_is_announced(self) -> None:
        sent = 0

        async def handler(request: web.Request) -> web.StreamResponse:
            nonlocal sent
            response = web.StreamResponse(headers={"Content-Length": str(1 << 30)})
            await response.prepare(request)
            for _ in range(1024):
                await response.write(bytes(MIB))
                sent += MIB
            return response

        async with calling(handler) as (client, stub):
            error = await error_of(client.post("/x", {}))
        assert isinstance(error, UpstreamRejected)
        assert "64 MiB" in error.message
        assert stub.url in error.message
        assert sent < 64 * MIB

    async def test_a_gigabyte_is_not_read_when_it_is_not_announced(self) -> None:
        sent = 0

        async def handler(request: web.Request) -> web.StreamResponse:
            nonlocal sent
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(1024):
                await response.write(bytes(MIB))
                sent += MIB
            return response

        async with serve(handler) as stub:
            endpoint = Endpoint(provider="acme", url=stub.url)
            client = ModelClient(endpoint, variable="WINNOW_RERANK", max_answer_bytes=4 * MIB)
            error = await error_of(client.post("/x", {}))
            assert isinstance(error, UpstreamRejected)
            assert sent < 64 * MIB
            await client.close()

    async def test_a_gigabyte_in_a_few_compressed_bytes_is_not_unpacked(self) -> None:
        async def handler(request: web.Request) -> web.Response:
            response = web.Response(body=bytes(96 * MIB))
            response.enable_compression(web.ContentCoding.gzip)
            return response

        async with calling(handler) as (client, _):
            error = await error_of(client.post("/x", {}))
        assert "64 MiB" in error.message

    async def test_of_an_endless_error_only_the_beginning_is_read(self, no_waits: None) -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(status=400)
            await response.prepare(request)
            while True:
                await response.write(bytes(MIB))

        async with calling(handler) as (client, _):
            error = await error_of(client.post("/x", {}))
        assert "400 (Bad Request)" in error.message

    async def test_a_redirect_is_not_followed(self) -> None:
        async def handler(request: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect("https://elsewhere.example/login")

        async with calling(handler, api_key="secret") as (client, stub):
            error = await error_of(client.post("/x", {}))
        assert "https://elsewhere.example/login" in error.message
        assert "WINNOW_EMBEDDING__URL" in error.message
        assert len(stub.calls) == 1

    async def test_what_does_not_speak_http_is_refused(self) -> None:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example ESMTP\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            client = client_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            error = await error_of(client.post("/x", {}))
            await client.close()
        assert isinstance(error, UpstreamRejected)
        assert "HTTP" in error.message

    @pytest.mark.parametrize("status", [400, 401, 500])
    async def test_the_key_is_in_no_message(self, status: int, no_waits: None) -> None:
        told = {"error": {"message": "bad key sk-very-secret"}}
        async with calling(answering(lambda: reply(told, status)), api_key="sk-very-secret") as (client, _):
            error = await error_of(client.post("/x", {}))
        assert "sk-very-secret" not in error.message
        assert "bad key ***" in error.message
