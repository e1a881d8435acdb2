"""Bulk indexing without Ray: what it refuses, and what leaves the driver."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from indexer.bulk import job as job_module
from indexer.bulk.job import BulkJob
from indexer.bulk.options import RayOptions, for_models, for_stores, require_ray
from winnow.cli.command import reach
from winnow.cli.main import main
from winnow.core.errors import InvalidSettings
from winnow.core.settings import Settings, load_settings
from winnow.runtime import open_local


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InvalidSettings, match=r"winnow-search\[ray\]"):
        require_ray()


@pytest.mark.parametrize(
    "servers",
    [
        {},
        {"vectors": {"provider": "qdrant", "url": "http://127.0.0.1:1"}, "catalog": {"url": "sqlite:///w.db"}},
        {"catalog": {"url": "postgresql://winnow@127.0.0.1/winnow"}},
    ],
    ids=["neither", "only Qdrant", "only PostgreSQL"],
)
async def test_embedded_storage_is_refused_before_anything_is_opened(tmp_path: Path, servers: dict[str, Any]) -> None:
    settings = load_settings(data_dir=tmp_path / "data", **servers)
    with pytest.raises(InvalidSettings, match=r"Qdrant server .* and PostgreSQL .* omit --engine"):
        async with open_local(settings, bulk=RayOptions()):
            raise AssertionError("nothing may be opened")
    assert not settings.data_dir.exists()


def test_the_command_refuses_embedded_storage_without_ray_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    options = ["index", str(tmp_path), "-c", "c", "--engine", "ray", "--data-dir", str(tmp_path / "data")]
    with pytest.raises(SystemExit) as caught:
        main(options)
    assert caught.value.code == 2
    assert "--engine ray needs a Qdrant server" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


async def test_a_service_that_indexes_by_itself_is_not_worked_through(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"--engine ray does not work through http://127\.0\.0\.1:1"):
        async with reach(load_settings(data_dir=tmp_path), "http://127.0.0.1:1", bulk=RayOptions()):
            raise AssertionError("it must refuse before it connects")


SECRETS = {
    "embedding": {"provider": "vllm", "url": "http://127.0.0.1:1", "api_key": "for-the-model"},
    "next_embedding": {"provider": "openai", "api_key": "for-the-next-model"},
    "rerank": {"provider": "jina", "url": "http://127.0.0.1:2", "model": "m", "api_key": "for-the-reranker"},
    "vectors": {"provider": "qdrant", "url": "http://127.0.0.1:3", "api_key": "for-qdrant"},
    "catalog": {"url": "postgresql://winnow:for-the-database@127.0.0.1/winnow"},
}


def test_processes_that_embed_learn_the_keys_of_models_alone() -> None:
    assert _told(for_models(load_settings(**SECRETS))) == {"for-the-model", "for-the-next-model"}


def test_processes_that_read_and_write_learn_the_keys_of_storage_alone() -> None:
    assert _told(for_stores(load_settings(**SECRETS))) == {"for-qdrant", "for-the-database"}


async def test_a_job_that_is_stopped_waits_for_a_batch_that_hangs_no_longer_than_a_worker_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job_module, "STOP_SECONDS", 0.01)
    job, catalog, maintenance = BulkJob(MagicMock(), Settings(), RayOptions(), MagicMock()), MagicMock(), MagicMock()
    catalog.queue.release, maintenance.run = AsyncMock(), AsyncMock()
    job.attach(catalog, maintenance)
    job._round = asyncio.get_running_loop().create_future()  # the plan, which never ends
    working = asyncio.create_task(job.run())
    while not maintenance.run.called:
        await asyncio.sleep(0)
    job.stop()
    await working
    catalog.queue.release.assert_awaited_once_with(job.owner, tried=False)


def test_one_helper_serves_four_embedders() -> None:
    assert [RayOptions(actors=actors).helpers for actors in (1, 4, 5, 8)] == [1, 1, 2, 2]


def _told(settings: Settings) -> set[str]:
    told = repr(_plain(settings.model_dump()))
    names = ("the-model", "the-next-model", "the-reranker", "qdrant", "the-database")
    return {f"for-{name}" for name in names if f"for-{name}" in told}


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    reveal = getattr(value, "get_secret_value", None)
    return reveal() if reveal else value
