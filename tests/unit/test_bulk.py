"""Bulk indexing without Ray: what it refuses, and what leaves the driver."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cli.access import reach
from indexer.bulk import RayOptions, _for_actors, require_ray
from retrieval.errors import InvalidSettings
from retrieval.settings import load_settings


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


def test_actors_learn_no_secret_but_the_embedders() -> None:
    settings = load_settings(
        embedding={"provider": "vllm", "url": "http://127.0.0.1:1", "api_key": "for-the-model"},
        rerank={"provider": "jina", "url": "http://127.0.0.1:2", "model": "m", "api_key": "for-the-reranker"},
        vectors={"provider": "qdrant", "url": "http://127.0.0.1:3", "api_key": "for-qdrant"},
        catalog={"url": "postgresql://winnow:for-the-database@127.0.0.1/winnow"},
    )
    secrets = ("for-the-model", "for-the-reranker", "for-qdrant", "for-the-database")
    sent = _for_actors(settings)
    told = repr([_plain(sent.embedding.model_dump()), _plain(sent.model_dump(exclude={"embedding"}))])
    assert [secret in told for secret in secrets] == [True, False, False, False]


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    reveal = getattr(value, "get_secret_value", None)
    return reveal() if reveal else value
