"""The number of processes that ``winnow worker`` starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes import MODELS
from winnow.cli import worker_pool
from winnow.cli.worker_pool import usable_cores, worker_count
from winnow.core.errors import InvalidSettings
from winnow.core.settings import load_settings

SERVERS = {"vectors": {"provider": "qdrant", "url": "http://host:6333"}, "catalog": {"url": "postgresql://host/winnow"}}
REMOTE = {"embedding": {"provider": "vllm"}, "rerank": {"provider": "none"}}


@pytest.fixture(autouse=True)
def _cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(worker_pool, "_CGROUP_LIMIT", tmp_path / "cpu.max")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)), raising=False)


def test_remote_models_get_a_process_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker_count(None, load_settings(**SERVERS, **REMOTE)) == 6
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert worker_count(None, load_settings(**SERVERS, **REMOTE)) == worker_pool.MOST
    assert worker_count(20, load_settings(**SERVERS, **REMOTE)) == 20


def test_a_model_in_the_process_is_loaded_once() -> None:
    assert worker_count(None, load_settings(**SERVERS, **MODELS)) == 1
    assert worker_count(3, load_settings(**SERVERS, **MODELS)) == 3


@pytest.mark.parametrize("storage", [{}, {"vectors": SERVERS["vectors"]}, {"catalog": SERVERS["catalog"]}])
def test_storage_of_one_process_has_one_worker(storage: dict[str, dict[str, str]]) -> None:
    settings = load_settings(**storage, **REMOTE)
    assert worker_count(None, settings) == worker_count(1, settings) == 1
    with pytest.raises(InvalidSettings, match="--processes 2 needs documents and vectors on servers"):
        worker_count(2, settings)


@pytest.mark.parametrize(("limit", "cores"), [("max 100000", 6), ("250000 100000", 3), ("50000 100000", 1), ("?", 6)])
def test_the_limit_of_a_container_counts(tmp_path: Path, limit: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    assert usable_cores() == cores
