"""Bulk indexing without Ray: what it refuses, and what leaves the driver."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from indexer.bulk.options import RayOptions, for_models, for_stores, require_ray
from winnow.cli.access import reach
from winnow.core.errors import InvalidSettings
from winnow.core.settings import Settings, load_settings


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InvalidSettings, match=r"winnow-search\[ray\]"):
        require_ray()


def test_every_actor_holds_two_batches_and_one_more_is_cut_or_written() -> None:
    assert RayOptions(actors=4).lanes == 9


async def test_a_service_that_indexes_by_itself_is_not_worked_through(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"--engine ray: http://127\.0\.0\.1:1 indexes"):
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
