"""Searches that are turned away again: what they are told, what they cost, and who is not meant."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from service.access import LocalCallers
from service.connections import LimitedConnections
from service.lifespan import begin_drain
from tests.conftest import Service
from tests.wire.test_search_costs import counted, within
from winnow.search.admission_queue import NoPlace

PATH: Final = "/v1/collections/docs/search"
PYTHON_CALLS: Final = 140


class Answer(NamedTuple):
    """An answer as it was written."""

    status: int
    fields: dict[str, str]
    body: dict[str, Any]


class Wire(asyncio.Transport):
    """A connection to the service without a socket."""

    def __init__(self, service: Service, app: ASGIApp | None = None) -> None:
        super().__init__()
        self.written = b""
        self.asked = 0  # times that the application was asked
        self._closing = False

        async def counting(scope: Scope, receive: Receive, send: Send) -> None:
            self.asked += 1
            await (app or service.app)(scope, receive, send)

        refused = staticmethod(service.app.state.refusals.again)
        protocol = type("Wired", (LimitedConnections,), {"refused": refused})
        config = uvicorn.Config(counting, log_config=None, access_log=False, lifespan="off")
        self.protocol = protocol(config, ServerState(), {})
        self.protocol.connection_made(self)

    async def send(self, head: str, body: bytes = b'{"query": "copy"}', **fields: str) -> Answer:
        """Send one request; return the answer to it."""
        self.written = b""
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        sized = f"{head} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        self.protocol.data_received(sized.encode() + body)
        while not (whole := _answer(self.written)):
            await asyncio.sleep(0)
        return whole

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    def resume_reading(self) -> None:
        """Nothing is ever held back."""


def _answer(written: bytes) -> Answer | None:
    head, end, body = written.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if not end or len(body) < int(fields["content-length"]):
        return None
    return Answer(int(status.split()[1]), fields, json.loads(body))


@pytest.fixture
async def full(service: Service, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[bool], None]]:
    """A service with a collection; call it with whether its queue is too long for any search."""
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    queue = service.app.state.service.work.searches.queue
    usual = queue.refuse_standing

    def set_full(is_full: bool) -> None:
        monkeypatch.setattr(queue, "refuse_standing", (lambda _: NoPlace(7)) if is_full else usual)

    set_full(True)
    return set_full


@pytest.fixture
async def wire(service: Service, full: Any) -> AsyncIterator[Wire]:
    """A connection on which a search was turned away once."""
    found = Wire(service)
    assert (await found.send(f"POST {PATH}")).status == 429
    assert found.asked == 1
    yield found
    found.protocol.connection_lost(None)


async def test_a_further_refusal_says_what_the_first_said(service: Service, full: Any) -> None:
    wire = Wire(service)
    first = await wire.send(f"POST {PATH}", X_Request_Id="mine")
    again = await wire.send(f"POST {PATH}?pretty=1", X_Request_Id="mine")
    assert (again, wire.asked) == (first, 1)
    assert (again.fields["retry-after"], again.body["code"], again.body["request_id"]) == ("7", "overloaded", "mine")
    named = {(await wire.send(f"POST {PATH}")).body["request_id"] for _ in range(3)}
    assert len(named) == 3
    wire.protocol.connection_lost(None)


async def test_a_search_is_answered_once_there_is_a_place(wire: Wire, full: Any) -> None:
    full(False)
    assert (await wire.send(f"POST {PATH}", content_type="application/json")).status == 200


@pytest.mark.parametrize(
    ("head", "fields"),
    [
        ("POST /v1/collections/other/search", {}),
        (f"GET {PATH}?q=copy", {}),
        (f"POST {PATH}", {"Origin": "https://elsewhere.example"}),
        (f"POST {PATH}", {"Sec-Fetch-Site": "cross-site"}),
        (f"POST {PATH}", {"Authorization": "Bearer wnw_other"}),
        (f"POST {PATH}", {"X-Forwarded-Prefix": "/search"}),
        (f"POST {PATH}", {"Expect": "100-continue"}),
        (f"POST {PATH}", {"Connection": "close"}),
    ],
)
async def test_the_application_decides_on_what_is_not_alike(wire: Wire, head: str, fields: dict[str, str]) -> None:
    await wire.send(head, **fields)
    assert wire.asked == 2


async def test_it_decides_again_when_keys_may_have_changed(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.repeated_refusals.time.monotonic", lambda: float("inf"))
    await wire.send(f"POST {PATH}")
    assert wire.asked == 2


async def test_commands_of_this_machine_open_nothing_for_others(service: Service, full: Any) -> None:
    wire = Wire(service, LocalCallers(service.app))
    await wire.send(f"POST {PATH}")
    await wire.send(f"POST {PATH}")
    assert wire.asked == 2
    wire.protocol.connection_lost(None)


async def test_while_the_process_ends_clients_are_told_to_connect_elsewhere(service: Service, wire: Wire) -> None:
    begin_drain(service.app)
    assert (await wire.send(f"POST {PATH}")).fields["connection"] == "close"


async def test_a_body_that_follows_is_read_and_dropped(service: Service, wire: Wire, full: Any) -> None:
    wire.written = b""
    wire.protocol.data_received(f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n".encode())
    assert wire.written.startswith(b"HTTP/1.1 429 ")
    wire.protocol.data_received(b"GET /ab\r\n")
    full(False)
    assert (await wire.send(f"POST {PATH}", content_type="application/json")).status == 200


async def test_metrics_and_a_line_of_the_log_count_it(
    service: Service, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="winnow.access"):
        for _ in range(3):
            await wire.send(f"POST {PATH}")
        service.app.state.refusals._report()
    (record,) = [each for each in caplog.records if each.name == "winnow.access"]
    assert (record.msg, record.count, record.collection, record.status) == ("requests turned away", 3, "docs", 429)
    metrics = (await service.client.get("/metrics")).text
    assert 'winnow_search_errors_total{code="overloaded"} 4.0' in metrics
    counted_as = r'winnow_http_request_seconds_count\{[^}]*route="/v1/collections/\{name\}/search",status="429"\} 4\.0'
    assert re.search(counted_as, metrics)


async def test_it_costs_little(wire: Wire) -> None:
    """What a refusal costs is missing from the searches that are answered."""
    request = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    )
    wire.protocol.data_received(request.encode())
    with counted() as counts:
        wire.protocol.data_received(request.encode())
    within("calls of Python functions", counts["call"], PYTHON_CALLS)
    assert wire.asked == 1
