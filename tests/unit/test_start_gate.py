"""What is asked of a service while it starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from service.start_gate import StartGate


@pytest.fixture
async def gate() -> StartGate:
    return StartGate()


@pytest.fixture
async def caller(gate: StartGate) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(gate), base_url="http://localhost") as client:
        yield client


async def test_probes_are_answered_before_anything_is_open(caller: httpx2.AsyncClient) -> None:
    assert (await caller.get("/healthz")).status_code == 200
    early = await caller.get("/readyz")
    assert (early.status_code, early.json()["status"]) == (503, "starting")


async def test_an_open_service_is_ready_when_it_is_warm(service, gate: StartGate, caller: httpx2.AsyncClient) -> None:
    state = service.app.state.service
    state.starting = "3 of 40 collections are warm"
    gate.open(service.app)
    assert (await caller.get("/healthz")).status_code == 200
    early = await caller.get("/readyz")
    assert early.status_code == 503
    assert early.json()["checks"]["warm_up"]["reason"] == "3 of 40 collections are warm"
    state.starting = None
    gate.let_pass()
    assert (await caller.get("/readyz")).status_code == 200


async def test_what_is_asked_early_is_answered_as_soon_as_it_can_be(
    service, gate: StartGate, caller: httpx2.AsyncClient
) -> None:
    early = asyncio.create_task(caller.get("/v1/collections"))
    await asyncio.sleep(0)
    gate.open(service.app)
    assert not (await asyncio.wait({early}, timeout=0.05))[0], "it is cold"
    gate.let_pass()
    assert (await early).status_code == 200


async def test_who_has_waited_too_long_is_told_to_try_again() -> None:
    transport = httpx2.ASGITransport(StartGate(hold_seconds=0.01))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/v1/collections")
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_who_has_waited_too_long_is_answered_by_an_open_service(service) -> None:
    gate = StartGate(hold_seconds=0.01)
    gate.open(service.app)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(gate), base_url="http://localhost") as client:
        assert (await client.get("/v1/collections")).status_code == 200


async def test_a_start_that_ends_answers_who_waits(gate: StartGate, caller: httpx2.AsyncClient) -> None:
    early = asyncio.create_task(caller.get("/v1/collections"))
    await asyncio.sleep(0)
    gate.drain()
    assert (await early).status_code == 503
