"""The port of operations: what it answers while a process starts, works, is stalled and drains."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from indexer.worker.progress import Progress
from service.operations_port import OperationsApp
from service.readiness import ReadinessLog
from service.schemas.operations import CheckView, Readiness
from tests.support.house import House
from winnow.cli.operations_port import bind, bind_local, operations_port
from winnow.cli.pool_reports import PoolReports, merged
from winnow.core.errors import InvalidSettings
from winnow.core.types import Document


@dataclass
class Told:
    """Reports that a test sets."""

    reason: str | None = None
    ready: Readiness = field(default_factory=lambda: Readiness(status="ready", checks={}))
    text: bytes = b"winnow_made_up 1.0\n"

    async def stalled(self) -> str | None:
        return self.reason

    async def readiness(self) -> Readiness:
        return self.ready

    async def metrics(self) -> bytes:
        return self.text


async def ask(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


async def test_a_process_is_alive_and_not_ready_until_it_has_loaded() -> None:
    with bind("127.0.0.1", 0, "") as listener:
        port = listener.getsockname()[1]
        async with operations_port(listener) as app:
            assert await ask(port, "/healthz") == (200, '{"status":"ok"}')
            status, text = await ask(port, "/readyz")
            assert (status, "starting" in text) == (503, True)
            app.reports = Told()
            assert (await ask(port, "/readyz"))[0] == 200
            assert await ask(port, "/metrics") == (200, "winnow_made_up 1.0\n")
            assert (await ask(port, "/v1/collections"))[0] == 404


async def test_a_dead_model_is_degraded_and_503_on_request() -> None:
    told = Told(ready=Readiness(status="degraded", checks={"rerank": CheckView(status="failed", ms=1, reason="gone")}))
    with bind("127.0.0.1", 0, "") as listener:
        port = listener.getsockname()[1]
        async with operations_port(listener) as app:
            app.reports = told
            assert (await ask(port, "/readyz"))[0] == 200
            assert (await ask(port, "/readyz?strict=true"))[0] == 503
            assert (await ask(port, "/healthz"))[0] == 200, "liveness does not depend on others"
            told.reason = "nothing happens"
            status, text = await ask(port, "/healthz")
            assert (status, "nothing happens" in text) == (503, True)


def test_a_port_in_use_is_an_error_with_its_remedy() -> None:
    with bind("127.0.0.1", 0, "") as taken, pytest.raises(InvalidSettings, match=r"choose one with X"):
        bind("127.0.0.1", taken.getsockname()[1], "choose one with X")


def test_a_loop_that_rests_is_not_stalled_and_one_that_works_on_is() -> None:
    now = 0.0
    progress = Progress(lambda: now)
    now = 40.0
    assert progress.stalled_seconds == 40
    progress.note()
    now = 50.0
    assert progress.stalled_seconds == 10
    with progress.paused():
        now = 5000.0
        assert progress.stalled_seconds == 0
    assert progress.stalled_seconds == 0
    now = 5007.0
    assert progress.stalled_seconds == 7


async def test_a_worker_whose_model_hangs_is_stalled_and_one_that_is_idle_is_not(tmp_path: Path) -> None:
    house = await House(tmp_path).open()
    entered, hang = asyncio.Event(), asyncio.Event()
    embed = house.embedder.embed

    async def hanging(*arguments: Any, **options: Any) -> Any:
        entered.set()
        await hang.wait()
        return await embed(*arguments, **options)

    house.embedder.embed = hanging
    await house.submit(Document("d", "some words"))
    working = asyncio.create_task(house.worker.run())
    await entered.wait()
    while house.worker.stalled_seconds < 0.3:  # others than the one that hangs rest
        await asyncio.sleep(0.01)
    hang.set()
    while await house.state("d") != "indexed" or house.worker.stalled_seconds:  # a rest follows the last batch
        await asyncio.sleep(0.01)
    house.worker.stop()
    await working
    await house.close()


async def test_a_pool_reports_for_all_of_its_processes(tmp_path: Path) -> None:
    first, second = Told(), Told(text=b"# HELP a b\n# TYPE a counter\na_total 2.0\n")
    second.ready = Readiness(status="unavailable", checks={})
    pool = PoolReports(tmp_path, 3)
    assert (await pool.readiness()).status == "starting"
    with bind_local(tmp_path / "1.sock") as one, bind_local(tmp_path / "2.sock") as two:
        async with operations_port(one) as app, operations_port(two) as other:
            app.reports, other.reports = first, second
            assert await pool.stalled() is None, "the third one is only starting"
            assert (await pool.readiness()).status == "ready"
            assert b'a_total{process="2"} 2.0' in await pool.metrics()
            second.reason = "hangs"
            assert "worker 2" in str(await pool.stalled())
            assert "hangs" in str(await pool.stalled())


def test_metrics_of_several_processes_have_each_family_once() -> None:
    text = '# HELP a_total b\n# TYPE a_total counter\na_total{x="{ "} 1.0\na_total 2.0\n'
    assert merged({1: text, 2: text}).splitlines() == [
        "# HELP a_total b",
        "# TYPE a_total counter",
        'a_total{process="1",x="{ "} 1.0',
        'a_total{process="1"} 2.0',
        'a_total{process="2",x="{ "} 1.0',
        'a_total{process="2"} 2.0',
    ]


def test_a_change_of_readiness_is_logged_once_with_its_reason() -> None:
    written: list[tuple[str, dict[str, Any]]] = []

    class Log:
        def info(self, _: str, **values: Any) -> None:
            written.append(("info", values))

        def warning(self, _: str, **values: Any) -> None:
            written.append(("warning", values))

    log = ReadinessLog()
    log.log = Log()
    well = Readiness(status="ready", checks={"store": CheckView(status="ok", ms=1)})
    gone = Readiness(status="unavailable", checks={"store": CheckView(status="failed", ms=1, reason="no answer")})
    for each in (well, well, gone, gone, gone, well):
        log.note(each)
    assert written == [
        ("info", {"status": "ready"}),
        ("warning", {"status": "unavailable", "was": "ready", "store": "no answer"}),
        ("info", {"status": "ready", "was": "unavailable"}),
    ]


async def test_the_application_of_a_process_without_a_port_takes_its_reports() -> None:
    async with operations_port(None) as app:
        assert isinstance(app, OperationsApp)
        app.reports = Told()
