"""The tiny models, made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.qwen3.tiny import make_embedder, make_reranker


@pytest.fixture(scope="session")
def embedder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3-Embedding of 64 dimensions."""
    return make_embedder(tmp_path_factory.mktemp("qwen3") / "embedder")


@pytest.fixture(scope="session")
def reranker_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3-Reranker."""
    return make_reranker(tmp_path_factory.mktemp("qwen3") / "reranker")
