"""The client for models: what it sends, and how long it keeps trying."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web

from tests.stubs.calls import answering, busy, calling, client_of, echo, error_of, good, no_waits
from tests.stubs.embeddings import never
from tests.stubs.server import reply, serve
from winnow.core.errors import InvalidInput, UpstreamRejected, UpstreamUnavailable
from winnow.models.http.addresses import call_address, server_address

__all__ = ["no_waits"]  # a fixture


class TestSending:
    async def test_a_body_goes_as_json_and_the_answer_comes_parsed(self) -> None:
        async with calling(echo) as (client, stub):
            assert await client.post("/v1/x", {"text": "grüße 你好"}) == {"text": "grüße 你好"}
        assert stub.calls[0].path == "/v1/x"
        assert stub.calls[0].headers["content-type"] == "application/json"
        assert stub.calls[0].headers["accept-encoding"] == "identity"

    @pytest.mark.parametrize(
        ("settings", "expected"),
        [({}, None), ({"api_key": "k"}, "Bearer k"), ({"api_key": "k", "auth_scheme": "raw"}, "k")],
    )
    async def test_the_key_goes_as_the_scheme_says(self, settings: dict[str, str], expected: str | None) -> None:
        async with calling(echo, **settings) as (client, stub):
            await client.post("/x", {})
            await client.get("/x")
        assert [call.headers.get("authorization") for call in stub.calls] == [expected] * 2

    async def test_a_call_may_have_headers_of_its_own(self) -> None:
        async with calling(echo) as (client, stub):
            await client.post("/x", {}, headers={"X-Extra": "1"})
        assert stub.calls[0].headers["x-extra"] == "1"

    @pytest.mark.parametrize(
        ("base", "path", "expected"),
        [
            ("http://h:1", "/v1/embeddings", "http://h:1/v1/embeddings"),
            ("http://h:1/", "v1/embeddings", "http://h:1/v1/embeddings"),
            ("http://h:1/v1", "/v1/embeddings", "http://h:1/v1/embeddings"),
            ("http://h:1/v1/embeddings", "/v1/embeddings", "http://h:1/v1/embeddings"),
            ("http://h:1/gateway", "/v1/embeddings", "http://h:1/gateway/v1/embeddings"),
            ("http://h:1/gateway/v1", "/v1/embeddings", "http://h:1/gateway/v1/embeddings"),
            ("http://v1", "/v1/embeddings", "http://v1/v1/embeddings"),
            ("http://h/rerank", "/v1/rerank", "http://h/rerank"),
            ("http://h/v1/reranks", "/v1/rerank", "http://h/v1/reranks"),
            (
                "http://h/compatible-mode/v1/reranks",
                "/compatible-api/v1/reranks",
                "http://h/compatible-mode/v1/reranks",
            ),
            ("http://h/compatible-mode/v1", "/compatible-api/v1/reranks", "http://h/compatible-mode/v1/reranks"),
            ("http://h/v1", "/v2/rerank", "http://h/v1/rerank"),
            (
                "http://h/api/v1/services/rerank/text-rerank",
                "/api/v1/services/rerank/text-rerank/text-rerank",
                "http://h/api/v1/services/rerank/text-rerank/text-rerank",
            ),
            ("http://h/v1", "/rerank", "http://h/v1/rerank"),
        ],
    )
    def test_an_address_is_understood_as_providers_print_it(self, base: str, path: str, expected: str) -> None:
        assert call_address(base, path) == expected

    @pytest.mark.parametrize(
        ("base", "expected"),
        [
            ("http://h:1", "http://h:1/health"),
            ("http://h:1/v1", "http://h:1/health"),
            ("http://h:1/v1/rerank", "http://h:1/health"),
            ("http://h:1/rerank", "http://h:1/health"),
            ("http://h:1/gateway", "http://h:1/gateway/health"),
            ("http://h:1/gateway/v1/embeddings", "http://h:1/gateway/health"),
        ],
    )
    async def test_a_server_is_asked_at_its_root(self, base: str, expected: str) -> None:
        assert server_address(base, "/health") == expected

    async def test_no_more_calls_at_once_than_connections(self) -> None:
        running, most = 0, 0

        async def handler(request: web.Request) -> web.Response:
            nonlocal running, most
            running += 1
            most = max(most, running)
            for _ in range(20):
                await asyncio.sleep(0)
            running -= 1
            return good()

        async with calling(handler, connections=3) as (client, _):
            await asyncio.gather(*(client.post("/x", {}) for _ in range(12)))
        assert most == 3

    async def test_connections_are_used_again(self) -> None:
        peers = set()

        async def handler(request: web.Request) -> web.Response:
            assert request.transport is not None
            peers.add(request.transport.get_extra_info("peername"))
            return good()

        async with calling(handler) as (client, _):
            for _ in range(5):
                await client.post("/x", {})
        assert len(peers) == 1

    async def test_small_requests_do_not_wait_for_acknowledgements(self) -> None:
        async with calling(echo) as (client, _):
            await client.post("/x", {})
            (session,) = client._sessions.values()
            assert session.connector is not None
            (((idle, _),),) = session.connector._conns.values()
            transport = idle.transport
            assert transport is not None
            assert transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    async def test_text_that_utf8_cannot_hold_is_the_callers_error(self) -> None:
        async with calling(echo) as (client, stub):
            assert isinstance(await error_of(client.post("/x", {"text": "\ud800"})), InvalidInput)
        assert stub.calls == []


class TestProbing:
    async def test_a_get_returns_any_status_and_json_or_text(self) -> None:
        answers = answering(good, lambda: reply({"detail": "no"}, 404), lambda: web.Response(text="up 1"))
        async with calling(answers) as (client, _):
            assert [await client.get("/x") for _ in range(3)] == [
                (200, {"fine": True}),
                (404, {"detail": "no"}),
                (200, "up 1"),
            ]

    async def test_a_get_is_tried_once(self) -> None:
        async with calling(answering(busy)) as (client, stub):
            assert (await client.get("/x"))[0] == 503
        assert len(stub.calls) == 1
        client = client_of(stub.url)
        assert isinstance(await error_of(client.get("/x")), UpstreamUnavailable)
        await client.close()


class TestPatience:
    async def test_a_passing_failure_is_tried_again_and_logged(
        self, no_waits: None, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with calling(answering(busy, busy, good)) as (client, stub):
            assert await client.post("/x", {"n": 1}) == {"fine": True}
        assert stub.bodies == [{"n": 1}] * 3
        assert "acme at" in caplog.text
        assert "queue is full" in caplog.text

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
    async def test_a_lasting_failure_ends_as_unavailable(self, status: int, no_waits: None) -> None:
        async with calling(answering(lambda: reply({}, status))) as (client, stub):
            error = await error_of(client.post("/x", {}))
        assert isinstance(error, UpstreamUnavailable)
        assert error.retryable
        assert str(status) in error.message
        assert len(stub.calls) == 5

    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 413, 422])
    async def test_a_refusal_for_good_is_not_tried_again(self, status: int, no_waits: None) -> None:
        async with calling(answering(lambda: reply({}, status))) as (client, stub):
            error = await error_of(client.post("/x", {}))
        assert isinstance(error, UpstreamRejected)
        assert not error.retryable
        assert len(stub.calls) == 1

    async def test_an_answer_that_breaks_off_is_asked_for_again(self, no_waits: None) -> None:
        answers = 0

        async def handler(request: web.Request) -> web.StreamResponse:
            nonlocal answers
            answers += 1
            if answers > 2:
                return good()
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b'{"data":')
            assert request.transport is not None
            request.transport.abort()
            return response

        async with calling(handler) as (client, _):
            assert await client.post("/x", {}) == {"fine": True}

    async def test_a_server_that_is_not_there_is_unavailable(self, no_waits: None) -> None:
        async with serve(echo) as stub:
            pass
        client = client_of(stub.url)
        error = await error_of(client.post("/x", {}))
        assert isinstance(error, UpstreamUnavailable)
        assert f"acme at {stub.url}/x cannot be reached" in error.message
        await client.close()

    async def test_silence_ends_with_the_timeout_and_without_another_try(self) -> None:
        async with calling(never, timeout_seconds=0.2) as (client, stub):
            error = await error_of(client.post("/x", {}))
        assert isinstance(error, UpstreamUnavailable)
        assert "no answer within 0.2 s (WINNOW_EMBEDDING__TIMEOUT_SECONDS)" in error.message
        assert len(stub.calls) == 1

    async def test_a_wait_that_is_asked_for_is_kept(self, no_waits: None) -> None:
        async with calling(answering(lambda: reply({}, 429, Retry_After="2"), good)) as (client, stub):
            assert await client.post("/x", {}) == {"fine": True}
        assert len(stub.calls) == 2

    async def test_a_wait_beyond_the_timeout_is_left_to_the_caller(self) -> None:
        async with calling(answering(lambda: reply({}, 429, Retry_After="100"))) as (client, stub):
            error = await error_of(client.post("/x", {}))
        assert isinstance(error, UpstreamUnavailable)
        assert error.retry_after == 100
        assert len(stub.calls) == 1

    @pytest.mark.parametrize("code", ["insufficient_quota", "Throttling.AllocationQuota"])
    async def test_a_spent_quota_is_tried_once_more_and_then_final(self, code: str, no_waits: None) -> None:
        body = {"code": code, "message": "quota exceeded", "request_id": "0"}
        async with calling(answering(lambda: reply(body, 429))) as (client, stub):
            error = await error_of(client.post("/x", {}))
        assert type(error) is UpstreamRejected
        assert "quota" in error.message
        assert len(stub.calls) == 2

    async def test_a_spent_quota_that_recovers_is_no_error(self, no_waits: None) -> None:
        body = {"error": {"message": "exceeded", "code": "insufficient_quota"}}
        async with calling(answering(lambda: reply(body, 429), good)) as (client, _):
            assert await client.post("/x", {}) == {"fine": True}

    async def test_retries_stay_a_fraction_of_the_calls(self, no_waits: None) -> None:
        async with calling(answering(busy), connections=50) as (client, stub):
            for _ in range(100):
                await error_of(client.post("/x", {}))
        assert 100 * 1.2 <= len(stub.calls) <= 100 * 1.2 + 11


class TestLeaving:
    async def test_a_caller_that_leaves_frees_its_connection(self) -> None:
        gone = asyncio.Event()

        async def handler(request: web.Request) -> web.Response:
            if (await request.json())["wait"]:
                try:
                    return await never(request)
                finally:
                    gone.set()
            return good()

        async with calling(handler, connections=1) as (client, _):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.post("/x", {"wait": True})
            assert await client.post("/x", {"wait": False}) == {"fine": True}
            await asyncio.wait_for(gone.wait(), 5)

    async def test_a_caller_that_leaves_between_two_tries_ends_them(self) -> None:
        async with calling(answering(lambda: reply({}, 429, Retry_After="20"), good)) as (client, stub):
            call = asyncio.create_task(client.post("/x", {}))
            while not stub.calls:
                await asyncio.sleep(0.01)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call, 0.1)
            assert call.cancelled()
        assert len(stub.calls) == 1

    async def test_calls_after_the_end_are_refused(self) -> None:
        async with calling(echo) as (client, stub):
            await client.post("/x", {})
            await client.close()
            await client.close()
            assert isinstance(await error_of(client.get("/x")), UpstreamUnavailable)
        assert len(stub.calls) == 1

    async def test_calls_under_way_at_the_end_fail_as_unavailable(self, caplog: pytest.LogCaptureFixture) -> None:
        async with calling(never) as (client, stub):
            call = asyncio.create_task(client.post("/x", {}))
            while not stub.calls:
                await asyncio.sleep(0.01)
            await client.close()
            assert isinstance(await error_of(call), UpstreamUnavailable)
        assert "follows" not in caplog.text, "no other try"
