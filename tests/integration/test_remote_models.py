"""The service as a process of its own, with both stages at a provider's: down, back, slow, busy, and long."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.faults.processes import free_port
from tests.stubs import embeddings
from tests.stubs import rerank_servers as reranks
from tests.stubs.embeddings import DIMENSIONS, never
from tests.stubs.server import Handler, reply

PAGES = {
    "copy": "copy a file and keep its timestamps",
    "move": "move a file to another place",
    "sonnet": "fourteen lines with rhymes at their ends",
}
QUERY = "copy a file and keep its timestamps"
MARGIN_MS = 1000  # above a search's budget, for its answer to be put together on a machine with other work
PATIENCE = 60.0  # seconds for a service to come, or to see that its models are back; it looks every 5


class Provider:
    """DashScope on a port of its own, which refuses connections until it is opened."""

    def __init__(self) -> None:
        self.port = free_port()

    @asynccontextmanager
    async def open(self, rerank: Handler) -> AsyncIterator[None]:
        embed = embeddings.DashScopeStub(key=reranks.KEY)

        async def answer(request: web.Request) -> web.StreamResponse:
            return await (rerank if "rerank" in request.path else embed)(request)

        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True).start()
            yield
        finally:
            await runner.cleanup()


class Process:
    """`winnow` over a data directory, with both stages at ``provider``."""

    def __init__(self, home: Path, provider: Provider) -> None:
        remote = {"PROVIDER": "dashscope", "URL": f"http://127.0.0.1:{provider.port}", "API_KEY": reranks.KEY}
        groups = {f"WINNOW_{group}__{name}": text for group in ("EMBEDDING", "RERANK") for name, text in remote.items()}
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("WINNOW_")} | groups
        self.env |= {"WINNOW_DATA_DIR": str(home / "data"), "WINNOW_EMBEDDING__DIMENSIONS": str(DIMENSIONS)}

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """The address of a service that runs until the block ends."""
        command = [sys.executable, "-m", "winnow.cli.main", "serve", "--port", "0"]
        process = await asyncio.create_subprocess_exec(*command, env=self.env, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        try:
            line = b""
            while b"Winnow serves" not in line:
                line = await process.stdout.readline()
                assert line, "the service ended before it served"
            yield next(word for word in line.decode().split() if "http" in word)
        finally:
            process.terminate()
            await process.wait()


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def winnow(tmp_path: Path, provider: Provider) -> Process:
    return Process(tmp_path, provider)


async def call(url: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.request(method, url, json=body) as response:
        return response.status, json.loads(await response.read())


async def search(url: str, **changes: Any) -> dict[str, Any]:
    body = {"query": QUERY, "mode": "hybrid", "budget_ms": 20_000} | changes
    status, answer = await call(f"{url}/v1/collections/docs/search", "POST", body)
    assert status == 200, answer
    return dict(answer)


async def fill(url: str, texts: dict[str, str]) -> None:
    """Index ``texts`` and wait until the last is found."""
    assert (await call(f"{url}/v1/collections/docs", "PUT", {}))[0] < 300
    documents = [{"id": name, "text": text} for name, text in texts.items()]
    status, answer = await call(f"{url}/v1/collections/docs/documents", "POST", {"documents": documents})
    assert status == 202, answer
    everything = {"mode": "sparse", "query": " ".join(texts.values())[:1000], "rerank": False}
    await until(url, lambda found: len(found["results"]) >= min(len(texts), 10), top_n=10, **everything)


async def until(url: str, met: Callable[[dict[str, Any]], bool], **changes: Any) -> dict[str, Any]:
    """The first answer of a search that is as it is waited for."""
    end = time.monotonic() + PATIENCE
    while not met(found := await search(url, **changes)):
        assert time.monotonic() < end, found
    return found


async def ready(url: str) -> Any:
    end = time.monotonic() + PATIENCE
    while (answer := await call(f"{url}/readyz?strict=true"))[0] != 200:
        assert time.monotonic() < end, answer
    return answer[1]


async def test_a_service_without_its_models_starts_declares_it_and_heals(winnow: Process, provider: Provider) -> None:
    async with provider.open(reranks.DashScopeStub()), winnow.serve() as url:
        await fill(url, PAGES)
    async with winnow.serve() as url:
        async with asyncio.timeout(30):  # while the first check runs, readiness says just that
            text = ""
            while not ("WINNOW_EMBEDDING__URL" in text and "WINNOW_RERANK__URL" in text):
                status, told = await call(f"{url}/readyz")
                assert (status, told["status"]) == (200, "degraded")
                text = json.dumps(told)
        dead = await search(url, budget_ms=3000)
        assert (dead["degraded"], dead["results"][0]["document_id"]) == (True, "copy")
        assert dead["stages"]["embed"]["status"] != "ok"
        async with provider.open(reranks.DashScopeStub()):
            await ready(url)
            healed = await until(url, lambda found: not found["degraded"])
        assert (healed["score_kind"], healed["results"][0]["document_id"]) == ("relevance", "copy")


async def test_a_reranker_that_hangs_is_given_up_within_the_budget(winnow: Process, provider: Provider) -> None:
    async with provider.open(never), winnow.serve() as url:
        await fill(url, PAGES)
        answer = await search(url, budget_ms=1500)
    assert (answer["degraded"], answer["stages"]["rerank"]["status"]) == (True, "timeout")
    assert answer["took_ms"] <= 1500 + MARGIN_MS


@pytest.mark.parametrize(("budget", "degraded"), [(20_000, False), (700, True)])
async def test_retry_after_is_waited_for_within_the_budget_only(
    winnow: Process, provider: Provider, budget: int, degraded: bool
) -> None:
    good, asked = reranks.DashScopeStub(), {QUERY: 0}

    async def busy_once(request: web.Request) -> web.StreamResponse:
        said = (await request.json())["query"]
        asked[said] = asked.get(said, 0) + 1
        if said == QUERY and asked[said] == 1:
            return reply({"code": "Throttling.RateQuota", "message": "rate limit"}, 429, Retry_After="1")
        return await good(request)

    async with provider.open(busy_once), winnow.serve() as url:
        await ready(url)
        await fill(url, PAGES)
        answer = await search(url, budget_ms=budget)
    assert answer["degraded"] is degraded
    assert asked[QUERY] == (1 if degraded else 2)
    assert answer["took_ms"] <= budget + MARGIN_MS
