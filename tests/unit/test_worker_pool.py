"""The number of processes that ``winnow worker`` starts."""

from __future__ import annotations

import pytest

from tests.fakes import MODELS
from winnow.cli import worker_pool
from winnow.cli.worker_pool import worker_count
from winnow.core.errors import InvalidSettings
from winnow.core.settings import load_settings

SERVERS = {"vectors": {"provider": "qdrant", "url": "http://host:6333"}, "catalog": {"url": "postgresql://host/winnow"}}
REMOTE = {"embedding": {"provider": "vllm"}, "rerank": {"provider": "none"}}


@pytest.fixture(autouse=True)
def _cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "usable_cores", lambda: 6)


def test_remote_models_get_a_process_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker_count(None, load_settings(**SERVERS, **REMOTE)) == 6
    monkeypatch.setattr(worker_pool, "usable_cores", lambda: 64)
    assert worker_count(None, load_settings(**SERVERS, **REMOTE)) == worker_pool.MOST
    assert worker_count(20, load_settings(**SERVERS, **REMOTE)) == 20


def test_a_model_in_the_process_is_loaded_once() -> None:
    assert worker_count(None, load_settings(**SERVERS, **MODELS)) == 1
    assert worker_count(3, load_settings(**SERVERS, **MODELS)) == 3


@pytest.mark.parametrize(
    "storage",
    [{}, {"vectors": SERVERS["vectors"], "catalog": {"url": "sqlite:///winnow.db"}}, {"catalog": SERVERS["catalog"]}],
)
def test_storage_of_one_process_has_one_worker(storage: dict[str, dict[str, str]]) -> None:
    settings = load_settings(**storage, **REMOTE)
    assert worker_count(None, settings) == worker_count(1, settings) == 1
    with pytest.raises(InvalidSettings, match="--processes 2 needs documents and vectors on servers"):
        worker_count(2, settings)
