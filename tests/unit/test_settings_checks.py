"""Settings that do not go together, and secrets that must not be seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fakes import EMBEDDER
from winnow.catalog.engine import database_url
from winnow.core.errors import InvalidSettings
from winnow.core.settings import load_settings

KEY = "sk-very-secret"
VLLM = {"provider": "vllm"}


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["WINNOW_VECTORS__URL", "WINNOW_CATALOG__URL", "WINNOW_DATA_DIR"])
@pytest.mark.parametrize("value", ["", "  "])
def test_a_variable_that_is_set_and_empty_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings, match=f"{name} is set and empty: fill it in"):
        load_settings()


def test_an_instruct_may_be_empty_and_so_may_the_key_of_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_API_KEY", "")
    monkeypatch.setenv("WINNOW_RERANK__PROVIDER", "vllm")
    monkeypatch.setenv("WINNOW_RERANK__INSTRUCT", "")
    load_settings()


def test_vectors_on_a_server_need_a_catalog_that_is_named() -> None:
    vectors = {"provider": "qdrant", "url": "http://qdrant:6333"}
    with pytest.raises(InvalidSettings, match=r"WINNOW_CATALOG__URL: .* postgresql://"):
        load_settings(vectors=vectors)
    load_settings(vectors=vectors, catalog={"url": "sqlite:///winnow.db"})
    load_settings(vectors=vectors, catalog={"url": "postgresql://host/winnow"})


@pytest.mark.parametrize("url", ["postgresql://u:p@ss-word@host/db", "postgresql://u:p@5:ss-word@host/db"])
def test_a_password_with_an_at_sign_is_named_and_not_shown(url: str) -> None:
    with pytest.raises(InvalidSettings, match="%40") as refused:
        database_url(url)
    assert "ss-word" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_catalog_is_named_without_its_password() -> None:
    settings = load_settings(catalog={"url": "postgresql://u:secret@host:5432/winnow?sslmode=require"})
    assert settings.catalog_name == "postgresql://host:5432/winnow"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"embedding": VLLM}, "WINNOW_RERANK__PROVIDER: bundled needs token vectors"),
        (
            {"embedding": {"provider": "openai"}, "rerank": {"provider": "none"}},
            "WINNOW_EMBEDDING__API_KEY: api.openai",
        ),
        ({"embedding": {"provider": "dashscope"}, "rerank": {"provider": "none"}}, "WINNOW_EMBEDDING__API_KEY"),
        ({"rerank": {"provider": "dashscope"}}, "WINNOW_RERANK__API_KEY: dashscope.aliyuncs.com"),
        ({"rerank": {"provider": "dashscope-native"}}, "WINNOW_RERANK__API_KEY"),
        ({"rerank": {"provider": "cohere"}}, "WINNOW_RERANK__API_KEY: api.cohere.com"),
        ({"rerank": {"provider": "jina"}}, "WINNOW_RERANK__API_KEY: api.jina.ai"),
        (
            {"rerank": {"provider": "dashscope", "url": "https://w1.ap-southeast-1.maas.aliyuncs.com"}},
            "WINNOW_RERANK__API_KEY",
        ),
        ({"rerank": {"provider": "wrapped"}}, "WINNOW_RERANK__URL"),
        ({"rerank": {"provider": "cohere", "api_key": f"Bearer {KEY}"}}, "leave out the word Bearer"),
    ],
)
def test_what_cannot_work_is_named_at_the_start(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(**settings)
    assert says in caught.value.message
    assert KEY not in caught.value.message


@pytest.mark.parametrize(
    "settings",
    [
        {"embedding": VLLM, "rerank": VLLM},
        {"embedding": {"provider": "openai", "url": "http://127.0.0.1:9000"}, "rerank": {"provider": "none"}},
        {"rerank": {"provider": "jina", "url": "http://127.0.0.1:30000", "instruct_field": "instruct"}},
        {"rerank": {"provider": "jina", "url": "https://notopenai.com"}},
        {"embedding": EMBEDDER, "rerank": {"provider": "bundled"}},
    ],
)
def test_what_can_work_is_taken(settings: dict[str, Any]) -> None:
    load_settings(**settings)


def test_every_contradiction_is_named_at_once() -> None:
    with pytest.raises(InvalidSettings, match=r"WINNOW_EMBEDDING__API_KEY.*WINNOW_RERANK__API_KEY"):
        load_settings(embedding={"provider": "openai"}, rerank={"provider": "cohere"})


def test_no_secret_is_shown() -> None:
    settings = load_settings(
        embedding={"provider": "openai", "api_key": KEY},
        rerank={"provider": "cohere", "api_key": KEY},
        catalog={"url": f"postgresql+asyncpg://me:{KEY}@db/winnow"},
    )
    assert KEY not in settings.model_dump_json() + repr(settings)
    assert settings.model_dump(mode="json")["rerank"]["api_key"] == "**********"
