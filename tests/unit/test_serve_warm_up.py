"""What `winnow serve` does before it serves, with models that are down."""

from __future__ import annotations

import pytest

from winnow.cli.server import _warm_up
from winnow.core.errors import UpstreamUnavailable


async def gone(*args: object, **kwargs: object) -> None:
    raise UpstreamUnavailable("nobody listens")


async def test_a_service_starts_without_its_models(
    service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await service.fill("docs", [{"id": "a", "text": "how to warm up"}])
    monkeypatch.setattr(service.resources.embedder, "embed", gone)
    assert await _warm_up(service.resources) == ["docs"]
    assert "starting without the embedding model: nobody listens" in caplog.text


async def test_a_reranker_that_is_down_is_waited_for_once(service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("docs", "code", "mail"):
        await service.fill(name, [{"id": "a", "text": "how to warm up"}])
    asked = []

    async def rerank(*args: object, **kwargs: object) -> None:
        asked.append(args)
        await gone()

    monkeypatch.setattr(service.resources.reranker, "rerank", rerank)
    assert await _warm_up(service.resources) == ["code", "docs", "mail"]
    assert len(asked) == 1
