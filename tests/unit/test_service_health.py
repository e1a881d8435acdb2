"""Health of models: checked rarely, shared by all callers, never held up by a slow one."""

from __future__ import annotations

import asyncio
import logging

import pytest

from service.health import PING_EVERY, PROBE_AGAIN, PROBE_EVERY, ModelHealth
from winnow.core.errors import UpstreamUnavailable
from winnow.operations.probes import ProbeReport
from winnow.ports import Finding

WELL = ProbeReport("embedder", "m", "p", (Finding("known answers", "ok", "right"),))
WRONG = ProbeReport("embedder", "m", "p", (Finding("known answers", "failed", "wrong order", "mend it"),))
GONE = ProbeReport("embedder", "m", "p", (Finding("answers at all", "failed", "nobody listens"),), reachable=False)


class Model:
    """A model whose state the test sets, and which counts what it is asked."""

    def __init__(self) -> None:
        self.report: ProbeReport | Exception = WELL
        self.alive = True
        self.probes = self.pings = 0
        self.seconds = 100.0
        self.open = asyncio.Event()
        self.open.set()
        self.health = ModelHealth("embed", self.probe, self.ping, now=lambda: self.seconds)

    async def probe(self) -> ProbeReport:
        self.probes += 1
        await self.open.wait()
        if isinstance(self.report, Exception):
            raise self.report
        return self.report

    async def ping(self) -> None:
        self.pings += 1
        await self.open.wait()
        if not self.alive:
            raise UpstreamUnavailable("nobody listens")

    async def reason(self, *, after: float = 0.0, wait: float = 5.0) -> str | None:
        self.seconds += after
        return await self.health.reason(wait=wait)


@pytest.fixture
async def model() -> Model:
    return Model()


async def test_polls_every_second_cost_one_probe_a_quarter_of_an_hour(model: Model) -> None:
    for _ in range(int(PROBE_EVERY)):
        assert await model.reason(after=1) is None
    assert model.probes == 1
    assert model.pings <= PROBE_EVERY / PING_EVERY
    assert await model.reason(after=PING_EVERY) is None
    assert model.probes == 2


async def test_many_who_ask_at_once_share_one_check(model: Model) -> None:
    model.open.clear()
    asked = [asyncio.create_task(model.reason()) for _ in range(50)]
    await asyncio.sleep(0)
    model.open.set()
    assert await asyncio.gather(*asked) == [None] * 50
    assert model.probes == 1


async def test_a_wrong_deployment_is_asked_again_after_a_while(model: Model) -> None:
    model.report = WRONG
    assert await model.reason() == "wrong order: mend it"
    model.report = WELL
    assert await model.reason(after=PROBE_AGAIN - 1) == "wrong order: mend it"
    assert model.probes == 1
    assert await model.reason(after=2) is None


@pytest.mark.parametrize("report", [GONE, UpstreamUnavailable("nobody listens"), RuntimeError("nobody listens")])
async def test_a_model_that_is_down_at_the_start_is_ready_soon_after_it_comes(
    model: Model, report: ProbeReport | Exception
) -> None:
    model.report = report
    assert "nobody listens" in str(await model.reason())
    model.report = WELL
    assert await model.reason(after=PING_EVERY) is None


async def test_after_an_outage_the_known_answers_are_asked_again(model: Model) -> None:
    assert await model.reason() is None
    model.alive = False
    assert await model.reason(after=PING_EVERY) == "nobody listens"
    model.alive, model.report = True, WRONG
    assert await model.reason(after=PING_EVERY) == "wrong order: mend it"


async def test_a_model_that_is_gone_is_not_questioned_before_a_ping_gets_through(model: Model) -> None:
    model.report, model.alive = GONE, False
    for _ in range(10):
        assert await model.reason(after=PING_EVERY) == "nobody listens"
    assert (model.probes, model.pings) == (1, 9)
    model.report, model.alive = WELL, True
    assert await model.reason(after=PING_EVERY) is None
    assert (model.probes, model.pings) == (2, 10)


async def test_nothing_is_known_before_the_first_check_ends(model: Model) -> None:
    model.open.clear()
    assert "first check" in str(await model.reason(wait=0))
    assert model.health.age == 0
    model.open.set()
    assert await model.reason() is None


async def test_a_model_that_was_well_stays_ready_while_it_is_slow(model: Model) -> None:
    assert await model.reason() is None
    model.open.clear()
    assert await model.reason(after=PING_EVERY, wait=0) is None
    assert model.health.age == PING_EVERY
    assert model.pings <= 1
    await model.health.close()


async def test_one_that_never_answers_is_out_in_the_end(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await model.reason() is None
    monkeypatch.setattr("service.health.PING_LIMIT", 0.01)
    model.open.clear()
    assert await model.reason(after=PING_EVERY) == "no answer in time"


async def test_the_log_says_when_it_changes_and_only_then(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="service.health")
    model.report = WRONG
    for _ in range(3):
        await model.reason(after=PROBE_AGAIN)
    model.report = WELL
    for _ in range(3):
        await model.reason(after=PROBE_AGAIN)
    assert [record.getMessage() for record in caplog.records] == [
        "stage embed is not ready: wrong order: mend it",
        "stage embed is ready again",
    ]


async def test_closing_cancels_a_running_check(model: Model) -> None:
    model.open.clear()
    model.health.start()
    await asyncio.sleep(0)
    await model.health.close()
    assert model.probes == 1
    await model.health.close()
