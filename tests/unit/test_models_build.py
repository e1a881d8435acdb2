"""Settings choose the models."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from winnow.core.settings import load_settings
from winnow.models.build import build_embedder, build_reranker
from winnow.search.embedders import Embedders
from winnow.testing.vectors import FakeVectorStore


@pytest.mark.parametrize("settings", [{}, {"embedding": {"provider": "bundled"}}, {"embedding": {"provider": "fake"}}])
def test_the_configured_embedder_is_built(settings: dict[str, Any]) -> None:
    embedder = build_embedder(load_settings(**settings))
    expected = settings.get("embedding", {"provider": "bundled"})["provider"]
    assert embedder.info.provider == expected
    asyncio.run(embedder.close())


def test_the_fake_embedder_takes_its_dimensions() -> None:
    embedder = build_embedder(load_settings(embedding={"provider": "fake", "dimensions": 12}))
    assert embedder.info.dimensions == 12


@pytest.mark.parametrize("provider", ["bundled", "fake", "none"])
def test_the_configured_reranker_is_built(provider: str) -> None:
    settings = load_settings(embedding={"provider": "fake"}, rerank={"provider": provider})
    reranker = build_reranker(settings, Embedders(build_embedder(settings), keyword_tokenizer=""), FakeVectorStore())
    assert (reranker.info.provider if reranker else "none") == provider


def test_no_model_library_is_loaded_for_fakes() -> None:
    program = (
        "import sys; from winnow.models.build import build_embedder; from winnow.core.settings import load_settings\n"
        "build_embedder(load_settings(embedding={'provider': 'fake'}))\n"
        "print({'torch', 'tokenizers', 'transformers'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "set()"
