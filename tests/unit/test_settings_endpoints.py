"""Settings of models behind HTTP: what an address and a key may look like."""

from __future__ import annotations

import pytest

from winnow.core.errors import InvalidSettings
from winnow.core.settings import load_settings
from winnow.core.settings.embedding import DashScopeEmbedding, VllmEmbedding


def refused(**embedding: str) -> str:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(embedding={"provider": "vllm", **embedding}, rerank={"provider": "none"})
    return str(caught.value)


@pytest.mark.parametrize("url", ["127.0.0.1:8001", "localhost", "ftp://host", "https://", "", "vllm:8001/v1"])
def test_an_address_needs_scheme_and_host(url: str) -> None:
    assert "WINNOW_EMBEDDING__URL" in refused(url=url)


@pytest.mark.parametrize("url", ["https://me:secret@host", "https://secret@host", "https://host/v1?key=secret"])
def test_a_secret_in_an_address_is_refused_and_not_repeated(url: str) -> None:
    message = refused(url=url)
    assert "WINNOW_EMBEDDING__URL" in message
    assert "secret" not in message


def test_a_slash_at_the_end_of_an_address_makes_no_difference() -> None:
    assert VllmEmbedding(url=" https://host:1/v1/ ").url == "https://host:1/v1"


def test_a_line_end_behind_a_key_is_dropped() -> None:
    assert VllmEmbedding(api_key="sk-1\n").api_key.get_secret_value() == "sk-1"


@pytest.mark.parametrize("key", ["sk-1\nX-Evil: 1", "sk-ключ", "sk-\x00"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_repeated(key: str) -> None:
    message = refused(api_key=key)
    assert "WINNOW_EMBEDDING__API_KEY" in message
    assert key not in message


def test_dashscopes_sizes_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "EMBEDDING__PROVIDER": "dashscope",
        "EMBEDDING__API_KEY": "k",
        "RERANK__PROVIDER": "none",
    }.items():
        monkeypatch.setenv(f"WINNOW_{name}", value)
    monkeypatch.setenv("WINNOW_EMBEDDING__DIMENSIONS", "512")
    settings = load_settings().embedding
    assert isinstance(settings, DashScopeEmbedding)
    assert settings.dimensions == 512
    monkeypatch.setenv("WINNOW_EMBEDDING__DIMENSIONS", "500")
    with pytest.raises(InvalidSettings, match="WINNOW_EMBEDDING__DIMENSIONS"):
        load_settings()
