"""`winnow index --engine ray` on a Ray of this machine: real actor processes, Qdrant Edge, SQLite, a fake model."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from indexer.bulk.options import RayOptions
from indexer.bulk.pool import RayEmbedder
from tests.fakes import EMBEDDER, MODELS, variables
from winnow.core.settings import load_settings
from winnow.core.types import Document
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.runtime import Local, open_local

pytest.importorskip("ray", reason="Ray is not installed: pip install 'winnow-search[ray]'")

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("ray"), pytest.mark.filterwarnings("ignore")]

DOCUMENTS = 400


def environment(data: Path) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("WINNOW_", "RAY_"))}
    return clean | {
        "WINNOW_DATA_DIR": str(data),
        **variables(**MODELS),
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "winnow.cli.main", *arguments]


def winnow(data: Path, *arguments: str) -> Any:
    done = subprocess.run(
        command(*arguments, "--json"), env=environment(data), capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    rows = [{"id": f"d{i}", "text": f"Document {i} is about subject {i % 7}. " * 8} for i in range(DOCUMENTS)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_it_indexes_as_the_worker_does_and_embeds_nothing_twice(tmp_path: Path, corpus: Path) -> None:
    by_ray = winnow(tmp_path / "ray", "index", str(corpus), "-c", "c", "--engine", "ray")
    by_worker = winnow(tmp_path / "worker", "index", str(corpus), "-c", "c")
    assert by_ray | {"seconds": 0} == by_worker | {"seconds": 0}
    assert by_ray["documents"]["indexed"] == DOCUMENTS
    again = winnow(tmp_path / "ray", "index", str(corpus), "-c", "c")
    assert (again["documents"]["unchanged"], again["chunks_embedded"]) == (DOCUMENTS, 0)


def test_a_driver_killed_on_its_way_leaves_the_rest_to_the_next_run(tmp_path: Path, corpus: Path) -> None:
    data = tmp_path / "data"
    driver = subprocess.Popen(command("index", str(corpus), "-c", "c", "--engine", "ray"), env=environment(data))
    for _ in waiting():
        if any("ray::EmbedActor" in name for name in names(driver.pid)):
            break
    driver.kill()
    driver.wait()
    winnow(data, "index", str(corpus), "-c", "c")
    assert counts(data) == (DOCUMENTS, 0)


async def test_an_embedding_process_that_dies_is_replaced(pool: RayEmbedder) -> None:
    before = await pool.embed(["a text"], "document")
    for process in actors(os.getpid()):
        process.send_signal(signal.SIGKILL)
    after = await pool.embed(["a text"], "document")
    assert (before.vectors == after.vectors).all()


async def test_the_ledger_ends_complete_although_an_actor_dies_under_it(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "d", embedding=EMBEDDER, rerank={"provider": "none"})
    async with open_local(settings, bulk=RayOptions(actors=2)) as local:
        job = await submit(local, DOCUMENTS)
        work = asyncio.create_task(local.worker.run())
        actors(os.getpid())[0].kill()
        for _ in range(6000):
            state = await local.resources.catalog.jobs.get(job)
            if not state.pending:
                break
            await asyncio.sleep(0.01)
        local.worker.stop()
        await work
    assert (state.indexed, state.failed) == (DOCUMENTS, 0)


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[RayEmbedder]:
    settings = load_settings(data_dir=tmp_path, embedding=EMBEDDER, rerank={"provider": "none"})
    made = await asyncio.to_thread(RayEmbedder, settings, RayOptions(actors=1))
    yield made
    await made.close()


async def submit(local: Local, count: int) -> str:
    await ensure_collection(local.resources, "c", CollectionSpec())
    documents = [Document(id=f"d{i}", text=f"Document {i}. " * 20) for i in range(count)]
    return (await local.resources.catalog.documents.submit("c", documents)).job_id


def counts(data: Path) -> tuple[int, int]:
    [found] = winnow(data, "collections", "list")["collections"]
    return found["counts"]["documents"], found["counts"]["pending"]


def actors(pid: int) -> list[psutil.Process]:
    return [item for item in psutil.Process(pid).children(recursive=True) if "ray::EmbedActor" in title(item)]


def names(pid: int) -> list[str]:
    return [title(item) for item in psutil.Process(pid).children(recursive=True)]


def title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def waiting() -> Iterator[None]:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        yield
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")
