"""Settings that do not go together, and secrets that must not be seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fakes import EMBEDDER
from winnow.core.errors import InvalidSettings
from winnow.core.settings import load_settings

KEY = "sk-very-secret"
VLLM = {"provider": "vllm"}


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


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
