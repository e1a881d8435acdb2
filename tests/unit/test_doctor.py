"""``winnow doctor``: what it prints, and its exit status."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from tests.fakes import FAKES, variables
from tests.stubs import qdrant_recorded
from tests.stubs.qdrant_recorded import RecordedServer
from winnow.cli.doctor import doctor
from winnow.cli.doctor_parts import check_workers
from winnow.core.errors import UpstreamUnavailable
from winnow.core.lock import DirectoryLock
from winnow.core.principal import LOCAL
from winnow.core.settings import load_settings
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.ports import EmbeddedQuery, IndexRef, IndexSchema, Passage, Reranking
from winnow.runtime import open_resources
from winnow.testing.models import FakeReranker

KEY = "sk-very-secret"


class UpsideDown(FakeReranker):
    """Likes best what has least to do with the query."""

    async def rerank(
        self, query: EmbeddedQuery, passages: Sequence[Passage], *, instruct: str | None = None
    ) -> Reranking:
        found = await super().rerank(query, passages)
        return replace(found, scores=1 - found.scores)


class Gone(FakeReranker):
    """Is down."""

    async def rerank(self, *args: object, **kwargs: object) -> Reranking:
        raise UpstreamUnavailable("nobody listens at http://127.0.0.1:1 [red]")


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name, value in variables(**FAKES).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Another process that has the data directory and serves; its readiness is what the test puts in."""
    readiness: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if readiness["status"] == "ready" else 503)
            self.end_headers()
            self.wfile.write(json.dumps(readiness).encode())

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server, DirectoryLock(tmp_path / "winnow.lock") as lock:
        lock.publish(url=f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield readiness
        server.shutdown()
        thread.join()


def examine(folder: Path, *, as_json: bool) -> int:
    """The exit status."""
    with pytest.raises(typer.Exit) as caught:
        doctor(data_dir=folder, json=as_json)
    return caught.value.exit_code


def checks_of(capsys: pytest.CaptureFixture[str], folder: Path) -> tuple[int, dict[str, dict[str, str]]]:
    status = examine(folder, as_json=True)
    report = json.loads(capsys.readouterr().out)
    return status, {check["name"]: check for check in report["checks"]}


def test_all_is_well(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, checks = checks_of(capsys, tmp_path)
    assert status == 0
    assert {"versions", "disk", "catalog", "collections", "embedder: unit length", "reranker: known answers"} <= set(
        checks
    )
    assert {check["status"] for check in checks.values()} == {"ok"}


def test_a_wrong_deployment_fails_with_what_to_fix(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("winnow.runtime.build_reranker", lambda *_: UpsideDown())
    status, checks = checks_of(capsys, tmp_path)
    assert status == 1
    assert checks["reranker"]["status"] == checks["reranker: known answers"]["status"] == "failed"
    assert "WINNOW_RERANK__MODEL" in checks["reranker: known answers"]["fix"]
    assert checks["embedder"]["status"] == "ok"
    assert examine(tmp_path, as_json=False) == 1
    assert f"→ {checks['reranker: known answers']['fix']}" in capsys.readouterr().out


def test_a_model_that_is_down_fails_and_the_rest_is_looked_at(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("winnow.runtime.build_reranker", lambda *_: Gone())
    assert examine(tmp_path, as_json=False) == 1
    shown = capsys.readouterr().out
    assert "nobody listens at http://127.0.0.1:1 [red]" in shown, "a message is no markup"
    assert "embedder: known answers" in shown


def test_no_second_stage_is_no_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WINNOW_RERANK__PROVIDER", "none")
    monkeypatch.delenv("WINNOW_RERANK__FACTORY")
    status, checks = checks_of(capsys, tmp_path)
    assert (status, checks["reranker"]["status"]) == (0, "skipped")


@pytest.mark.parametrize("as_json", [True, False])
def test_secrets_are_masked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, as_json: bool
) -> None:
    monkeypatch.setenv("WINNOW_RERANK__PROVIDER", "cohere")
    monkeypatch.delenv("WINNOW_RERANK__FACTORY")
    monkeypatch.setenv("WINNOW_RERANK__API_KEY", KEY)
    monkeypatch.setenv("WINNOW_CATALOG__URL", f"sqlite:///{tmp_path}/{KEY}.db")
    monkeypatch.setattr("winnow.runtime.build_reranker", lambda *_: FakeReranker())
    examine(tmp_path, as_json=as_json)
    captured = capsys.readouterr()
    assert KEY not in captured.out + captured.err
    assert "**********" in captured.out


def test_collections_of_another_model_are_all_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def make() -> None:
        async with open_resources(load_settings(data_dir=tmp_path)) as resources:
            for name in ("docs", "code"):
                await ensure_collection(resources, LOCAL, name, CollectionSpec())

    asyncio.run(make())
    monkeypatch.setenv("WINNOW_EMBEDDING__DIMENSIONS", "32")
    status, checks = checks_of(capsys, tmp_path)
    assert status == 1
    detail = checks["collections"]["detail"]
    assert "dimensions: built with 64, configured 32" in detail
    assert "winnow reembed -c docs" in detail
    assert "winnow reembed -c code" in detail


def test_a_running_server_is_asked_how_it_is(
    capsys: pytest.CaptureFixture[str], owner: dict[str, Any], tmp_path: Path
) -> None:
    well = {"status": "ok", "ms": 0.1, "age_s": 12.0, "reason": None}
    owner |= {"status": "ready", "checks": {"embed": well}}
    status, checks = checks_of(capsys, tmp_path)
    assert (status, checks["server: embed"]["detail"]) == (0, "checked 12 s ago")
    owner |= {"status": "unavailable", "checks": {"embed": well | {"status": "failed", "reason": "mend it"}}}
    status, checks = checks_of(capsys, tmp_path)
    assert (status, checks["server: embed"]["detail"]) == (1, "mend it")
    owner |= {"status": "draining", "checks": {}}
    status, checks = checks_of(capsys, tmp_path)
    assert (status, checks["server"]["status"]) == (0, "warning")


def test_an_owner_that_serves_nothing_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with DirectoryLock(tmp_path / "winnow.lock"):
        status, checks = checks_of(capsys, tmp_path)
    assert (status, checks["data directory"]["status"]) == (0, "warning")
    assert "embedder" not in checks


async def test_work_that_no_worker_takes_is_a_warning() -> None:
    class Queue:
        unattended = True

        async def is_unattended(self, seconds: float) -> bool:
            return self.unattended

    queue = Queue()
    resources: Any = SimpleNamespace(settings=SimpleNamespace(keeps_data=False), catalog=SimpleNamespace(queue=queue))
    (check,) = await check_workers(resources)
    assert (check.status, check.fix.startswith("run `winnow worker`")) == ("warning", True)
    queue.unattended = False
    assert [check.status for check in await check_workers(resources)] == ["ok"]
    resources.settings.keeps_data = True
    assert await check_workers(resources) == [], "its own worker does the work"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordedServer]:
    """A Qdrant server that the settings name."""
    with qdrant_recorded.serve(wait=0) as server:
        monkeypatch.delenv("WINNOW_VECTORS__FACTORY")
        vectors = {"provider": "qdrant", "url": "http://127.0.0.1:1", "grpc_port": server.port}
        for name, value in variables(vectors=vectors, catalog={"url": "sqlite:///winnow.db"}).items():
            monkeypatch.setenv(name, value)
        yield server


def test_a_key_that_may_only_read_is_found(
    server: RecordedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = checks_of(capsys, tmp_path)[1]["vectors"]
    assert found["status"] == "ok"
    assert f"qdrant at 127.0.0.1:{server.port} (gRPC), 0 indexes" in found["detail"]
    server.refused = {"Collections/Delete", "Collections/Create", "Points/Upsert"}
    status, checks = checks_of(capsys, tmp_path)
    assert status == 1
    assert "WINNOW_VECTORS__API_KEY" in checks["vectors"]["detail"]


def test_a_catalog_that_does_not_open_leaves_the_other_parts_to_be_checked(
    server: RecordedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINNOW_CATALOG__URL", "postgresql://winnow@127.0.0.1:1/winnow")
    status, checks = checks_of(capsys, tmp_path)
    assert (status, checks["start"]["status"]) == (1, "failed")
    assert "the catalog's database cannot be reached" in checks["start"]["detail"]
    assert [checks[part]["status"] for part in ("vectors", "embedder", "reranker")] == ["ok", "ok", "ok"]


def test_indexes_on_a_server_that_no_collection_owns_are_named_and_kept(
    server: RecordedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def make() -> None:
        async with open_resources(load_settings(data_dir=tmp_path)) as resources:
            await ensure_collection(resources, LOCAL, "docs", CollectionSpec())
            await resources.store.create(IndexRef("lost.0123abcd", 3), IndexSchema(8))

    asyncio.run(make())
    status, checks = checks_of(capsys, tmp_path)
    unowned = checks["unowned indexes"]
    assert (status, unowned["status"]) == (0, "warning")
    assert "1 index " in unowned["detail"]
    assert "lost.0123abcd (generation 3)" in unowned["detail"]
    assert "docs" not in unowned["detail"]
    assert len(server.collections) == 2
