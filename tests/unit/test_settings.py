"""Settings: where they come from, and how a wrong one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from winnow.core.errors import InvalidSettings
from winnow.core.settings import load_settings
from winnow.core.settings.embedding import BundledEmbedding, VllmEmbedding
from winnow.core.settings.rerank import NoRerank
from winnow.core.settings.vectors import EdgeVectors


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_defaults_need_nothing() -> None:
    settings = load_settings()
    assert isinstance(settings.embedding, BundledEmbedding)
    assert settings.server.host == "127.0.0.1"
    assert settings.catalog_url == "sqlite:///data/winnow.db"


def test_the_environment_reaches_into_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_RERANK__PROVIDER", "none")
    monkeypatch.setenv("WINNOW_VECTORS__OPTIMIZE_ON_START", "false")
    monkeypatch.setenv("WINNOW_SERVER__PORT", "9000")
    settings = load_settings()
    assert isinstance(settings.rerank, NoRerank)
    assert settings.vectors == EdgeVectors(optimize_on_start=False)
    assert settings.server.port == 9000


def test_arguments_beat_the_environment_and_the_environment_beats_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "winnow.toml").write_text('[server]\nport = 1\nhost = "::1"\n[search]\nrerank_top_k = 5\n')
    monkeypatch.setenv("WINNOW_SERVER__PORT", "2")
    settings = load_settings(server={"insecure": True})
    assert (settings.server.port, settings.server.host, settings.search.rerank_top_k) == (2, "::1", 5)
    assert load_settings(server={"port": 3}).server.port == 3


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("WINNOW_EMBEDING__PROVIDER", "bundled", "WINNOW_EMBEDING__PROVIDER"),
        ("WINNOW_SERVER__PROT", "1", "WINNOW_SERVER__PROT"),
        ("WINNOW_SERVER__PORT", "many", "WINNOW_SERVER__PORT"),
        ("WINNOW_RERANK__PROVIDER", "magic", "WINNOW_RERANK"),
        ("WINNOW_INDEXING__POLL_SECONDS", "1", "WINNOW_INDEXING__POLL_SECONDS: Extra inputs are not permitted"),
        ("WINNOW_SEARCH__BUDGET_MS", "-1", "WINNOW_SEARCH__BUDGET_MS"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings, match=says):
        load_settings()


def test_further_embedding_models_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_EMBEDDINGS__CODE__PROVIDER", "vllm")
    monkeypatch.setenv("WINNOW_EMBEDDINGS__CODE__DIMENSIONS", "12")
    settings = load_settings()
    assert list(settings.encoders) == ["english", "multilingual", "code"]
    assert (
        next(iter(load_settings(embedding={"provider": "bundled", "model": "multilingual"}).encoders)) == "multilingual"
    )
    remote = load_settings(embedding={"provider": "openai", "url": "http://x"}, rerank={"provider": "none"})
    assert list(remote.encoders) == ["default", "code"]
    assert settings.encoders["code"] == VllmEmbedding(dimensions=12)
    assert settings.with_encoder(settings.encoders["code"]).embedding == VllmEmbedding(dimensions=12)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("WINNOW_EMBEDDINGS__CODE__DIMENSIONS", "many", "WINNOW_EMBEDDINGS__CODE__DIMENSIONS: "),
        ("WINNOW_EMBEDDINGS__CODE__API_KEY", "Bearer x", "WINNOW_EMBEDDINGS__CODE__API_KEY: leave out the word"),
        ("WINNOW_EMBEDDINGS__CODE__MODLE", "x", "WINNOW_EMBEDDINGS__CODE__MODLE: Extra"),
        ("WINNOW_EMBEDDINGS__DEFAULT__PROVIDER", "vllm", "WINNOW_EMBEDDINGS__DEFAULT: the name is taken"),
        ("WINNOW_EMBEDDINGS__ENGLISH__PROVIDER", "vllm", "WINNOW_EMBEDDINGS__ENGLISH: the name is taken"),
    ],
)
def test_a_wrong_setting_of_a_further_model_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv("WINNOW_EMBEDDINGS__CODE__PROVIDER", "vllm")
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    assert says in str(caught.value)
