"""An index that is lost, on both engines: told, made again, filled by the workers, and not searched meanwhile."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from indexer.worker.loop import Worker
from indexer.worker.pipeline import Pipeline
from service.app import create_app
from tests.conftest import Service
from tests.fakes import MODELS
from tests.stubs.qdrant_server import serve
from winnow.core.errors import IndexLost
from winnow.core.principal import LOCAL
from winnow.core.settings import load_settings
from winnow.operations.index_watch import IndexWatch
from winnow.operations.verify import inspect_collection
from winnow.search.embedders import Embedders
from winnow.search.two_stage import TwoStageSearch
from winnow.testing.models import FakeEmbedder
from winnow.vectors.edge import layout

DOCUMENTS: Final = [{"id": f"d{n}", "text": f"word{n} amber"} for n in range(12)]
SEARCH: Final = "/v1/collections/docs/search"


@pytest.fixture(params=["edge", "qdrant"])
async def docs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Service]:
    """The collection ``docs`` with twelve documents, on an embedded engine and on a server."""
    async with serve() as server:
        vectors: dict[str, Any] = {"provider": request.param}
        if request.param == "qdrant":
            vectors |= {"url": server.url, "grpc_port": server.grpc_port}
        catalog = {"url": f"sqlite:///{tmp_path / 'winnow.db'}"}
        more: dict[str, Any] = {"vectors": vectors, "catalog": catalog, "indexing": {"batch_documents": 12}}
        running = Service(load_settings(data_dir=tmp_path, **MODELS, **more))
        await running.fill("docs", DOCUMENTS)
        yield running
        await running.close()


async def lose(docs: Service, generation: int = 1) -> None:
    """Delete an index, the serving one, behind the store's back."""
    store, collection = docs.resources.store, await docs.resources.catalog.collections.get("docs")
    ref = replace(collection.serving.ref, generation=generation)
    root = docs.resources.settings.data_dir / "vectors"
    if root.exists():
        shutil.rmtree(root / ref.collection / f"g{generation:04}")
    else:
        await store._client.delete_collection(f"winnow__{ref.collection}__{generation}")  # type: ignore[attr-defined]
    assert await store.lost([ref])


async def change_model(docs: Service) -> None:
    """Begin to embed with another model, of other dimensions."""
    old, following = docs.resources, FakeEmbedder(32)
    embedders = Embedders(old.embedder, following, keyword_tokenizer=old.store.keyword_tokenizer)
    search = TwoStageSearch(embedders, old.store, old.collections, old.reranker, old.settings.search)
    docs.resources = replace(old, embedders=embedders, search=search)
    pipeline = Pipeline(embedders, old.store, old.catalog, old.settings.indexing)
    docs._worker = Worker(pipeline, old.catalog, old.settings.indexing)
    docs.watch = IndexWatch(docs.resources, heals=True)
    docs.app = create_app(old.settings, docs.resources)
    docs.client._transport.app = docs.app  # type: ignore[attr-defined]
    started = await docs.client.post("/v1/collections/docs/reembed")
    assert started.status_code == 202, started.text


async def search(docs: Service, **more: Any) -> Any:
    return await docs.client.post(SEARCH, json={"query": "word7 amber", **more})


async def found(docs: Service, **more: Any) -> set[str]:
    answer = await search(docs, top_k=100, top_n=50, rerank=False, budget_ms=30_000, **more)
    assert answer.status_code == 200, answer.text
    return {each["document_id"] for each in answer.json()["results"]}


async def test_a_search_is_refused_with_progress_until_every_document_is_there_again(docs: Service) -> None:
    await lose(docs)
    refused = await search(docs)
    assert (refused.status_code, refused.json()["code"]) == (503, "index_rebuilding")
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) > 0
    await docs.watch.look()
    refused = await search(docs)
    assert refused.json()["progress"] == {"share": 0.0, "documents_done": 0, "documents_total": 12}
    shown = (await docs.client.get("/v1/collections/docs")).json()
    assert shown["counts"]["pending"] == 12
    assert await docs._worker.work_once()  # a part of them
    partly = await search(docs)
    assert (partly.status_code, partly.json()["progress"]["documents_done"]) == (503, 4)
    await docs.index()
    assert await found(docs) == {each["id"] for each in DOCUMENTS}
    assert (await docs.resources.catalog.collections.get("docs")).rebuild is None
    await docs.watch.look()
    assert docs.watch.findings == {}


async def test_readiness_names_the_collection_and_stays_up(docs: Service) -> None:
    await lose(docs)
    await docs.watch.look()
    ready = await docs.client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["status"] == "degraded"
    assert "'docs'" in ready.json()["checks"]["indexes"]["reason"]
    assert (await docs.client.get("/readyz?strict=true")).status_code == 503
    await docs.index()
    await docs.watch.look()
    assert (await docs.client.get("/readyz")).json()["checks"]["indexes"]["status"] == "ok"


@pytest.mark.parametrize("docs", ["edge"], indirect=True)
@pytest.mark.parametrize("cut", ["vector_storage-dense/vectors/chunk_0.mmap", "payload_storage/page_0.dat"])
async def test_a_file_that_is_cut_under_the_running_engine_costs_it_once_and_the_index_is_filled_again(
    docs: Service, cut: str
) -> None:
    root = docs.resources.settings.data_dir / "vectors"
    (file,) = root.rglob(cut)
    os.truncate(file, 0)
    refused = [await search(docs) for _ in range(3)]  # the first kills the engine (SIGBUS), which maps the file
    assert {each.status_code for each in refused} == {503}
    assert refused[-1].json()["code"] == "index_rebuilding"
    await docs.watch.look()
    await docs.index()
    assert await found(docs) == {each["id"] for each in DOCUMENTS}
    assert docs.resources.store._engine.starts == 2  # type: ignore[attr-defined]
    assert list(root.glob("*/~lost-*"))


async def test_an_upload_waits_for_the_index_and_fails_no_document(docs: Service) -> None:
    await lose(docs)
    new = {"documents": [{"id": "new", "text": "new"}]}
    path = f"/v1/jobs/{(await docs.client.post('/v1/collections/docs/documents', json=new)).json()['job_id']}"
    (claim,) = await docs.resources.catalog.queue.claim("w", limit=5, lease_seconds=60)
    (outcome,) = await docs._worker._pipeline.run([claim])
    assert outcome.waited  # which is no attempt: however long it takes, the document does not fail
    assert "is lost" in (outcome.error or "")
    job = (await docs.client.get(path)).json()
    assert (job["pending"], job["failed"]) == (1, 0)
    await docs.watch.look()
    while (await docs.client.get(path)).json()["pending"]:
        await docs.index()
    assert "new" in await found(docs)


async def test_verify_names_a_lost_index_and_repair_makes_it_again(docs: Service) -> None:
    await lose(docs)
    told = await docs.client.post("/v1/collections/docs:verify", json={})
    report = _last(told.text)
    assert not report["sound"]
    assert [each["generation"] for each in report["lost"]] == [1]
    assert (await docs.resources.catalog.collections.get("docs")).rebuild is None
    report = _last((await docs.client.post("/v1/collections/docs:verify", json={"repair": True})).text)
    assert (report["mended"], len(report["jobs"])) == (12, 1)
    await docs.index()
    report = _last((await docs.client.post("/v1/collections/docs:verify", json={})).text)
    assert (report["sound"], report["documents"], report["points"]) == (True, 12, 12)
    assert await found(docs) == {each["id"] for each in DOCUMENTS}


async def test_a_collection_that_is_deleted_meanwhile_is_not_found(docs: Service) -> None:
    await lose(docs)
    assert (await docs.client.delete("/v1/collections/docs")).status_code == 204
    assert (await search(docs)).status_code == 404
    assert await docs.watch.look() == {}


async def test_lost_while_it_is_filled_it_is_filled_from_the_start(docs: Service) -> None:
    await lose(docs)
    await docs.watch.look()
    await docs.index()
    await lose(docs)
    await docs.watch.look()
    assert (await search(docs)).status_code == 503
    await docs.index()
    assert await found(docs) == {each["id"] for each in DOCUMENTS}


@pytest.mark.parametrize("which", ["serving", "beside"])
async def test_lost_in_the_middle_of_a_change_of_the_model_either_index_is_filled_again(
    docs: Service, which: str
) -> None:
    await change_model(docs)
    assert await docs._worker.work_once()  # a part of the second index
    collection = await docs.resources.catalog.collections.get("docs")
    lost = collection.serving if which == "serving" else collection.beside
    assert lost is not None
    await lose(docs, lost.generation)
    await docs.watch.look()
    assert (await search(docs, budget_ms=30_000)).status_code == (503 if which == "serving" else 200)
    for _ in range(3):
        await docs.index()
        await docs.watch.look()
    everything = {each["id"] for each in DOCUMENTS}
    assert await found(docs) == everything
    view = (await docs.client.get("/v1/collections/docs/reembed")).json()
    assert (view["state"], view["lacking"], view["failed"]) == ("ready", 0, 0)
    assert await found(docs, index="other") == everything


async def test_who_only_looks_changes_nothing(docs: Service) -> None:
    await lose(docs)
    findings = await IndexWatch(docs.resources, heals=False).look()
    assert "verify --repair" in findings["docs"]
    with pytest.raises(IndexLost):
        await docs.resources.store.count((await docs.resources.catalog.collections.get("docs")).serving.ref)


def _last(stream: str) -> dict[str, Any]:
    (data,) = [
        block.split("data: ", 1)[1] for block in stream.replace("\r", "").split("\n\n") if "event: done" in block
    ]
    found: dict[str, Any] = json.loads(data)
    return found


# --- what is left of an index on disk -----------------------------------------------------------------------------


def cut(path: Path) -> None:
    os.truncate(path, 10)


DAMAGES: Final[dict[str, Callable[[Path], None]]] = {
    "segment.json cut": lambda home: cut(layout.segments_of(home)[0]),
    "segment.json gone": lambda home: layout.segments_of(home)[0].unlink(),
    "segments gone": lambda home: shutil.rmtree(layout.shard_of(home) / "segments"),
    "log cut": lambda home: cut(layout.shard_of(home) / "wal" / "first-index"),
    "schema cut": lambda home: cut(home / "schema.json"),
    "engine's files gone": lambda home: shutil.rmtree(layout.shard_of(home)),
    "texts cut": lambda home: cut(next(layout.shard_of(home).glob("segments/*/payload_storage/page_0.dat"))),
}


@pytest.mark.parametrize("harm", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_damaged_index_is_kept_aside_and_filled_again_at_the_next_start(
    tmp_path: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_settings(data_dir=tmp_path, **MODELS)
    first = Service(settings)
    await first.fill("docs", DOCUMENTS)
    ref = (await first.resources.catalog.collections.get("docs")).serving.ref
    await first.close()
    harm(layout.Layout(tmp_path / "vectors").home(ref))
    second = Service(settings)
    await second.watch.look()
    refused = await search(second)
    assert (refused.status_code, refused.json()["code"]) == (503, "index_rebuilding")
    await second.watch.look()
    (aside,) = (tmp_path / "vectors" / ref.collection).glob("~lost-*")
    assert str(aside) in caplog.text
    await second.index()
    assert await found(second) == {each["id"] for each in DOCUMENTS}
    await second.client.delete("/v1/collections/docs")
    assert not aside.exists()
    await second.close()


async def test_points_that_are_missing_are_noticed_by_their_number(tmp_path: Path) -> None:
    docs = Service(load_settings(data_dir=tmp_path, **MODELS))
    await docs.fill("docs", DOCUMENTS)
    ref = (await docs.resources.catalog.collections.get("docs")).serving.ref
    await docs.resources.store.delete_documents(ref, {"d1": None})
    findings = await docs.watch.look()
    assert "11 of 12" in findings["docs"]
    await docs.index()
    assert len(await found(docs)) == 12
    await docs.resources.store.delete_documents(ref, {f"d{n}": None for n in range(9)})
    await IndexWatch(docs.resources, heals=True).look()
    assert (await search(docs)).status_code == 503  # most of it is gone: no answer rather than a part of one
    await docs.index()
    assert len(await found(docs)) == 12
    resources = docs.resources
    news = [item async for item in inspect_collection(resources.catalog, resources.store, LOCAL, "docs", repair=False)]
    assert news[-1].sound  # type: ignore[union-attr]
    await docs.close()
