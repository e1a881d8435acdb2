"""What `winnow serve` does before it is ready, with models that are down and with many collections."""

from __future__ import annotations

import asyncio

import pytest

from winnow.core.errors import UpstreamUnavailable
from winnow.operations import warm_up as module
from winnow.operations.warm_up import warm_up


async def gone(*args: object, **kwargs: object) -> None:
    raise UpstreamUnavailable("nobody listens")


async def test_a_service_starts_without_its_models(
    service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await service.fill("docs", [{"id": "a", "text": "how to warm up"}])
    monkeypatch.setattr(service.resources.embedder, "embed", gone)
    assert await warm_up(service.resources) == ["docs"]
    assert "starting without the embedding model: nobody listens" in caplog.text


async def test_a_reranker_that_is_down_is_waited_for_once(service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("docs", "code", "mail"):
        await service.fill(name, [{"id": "a", "text": "how to warm up"}])
    asked = []

    async def rerank(*args: object, **kwargs: object) -> None:
        asked.append(args)
        await gone()

    monkeypatch.setattr(service.resources.reranker, "rerank", rerank)
    assert await warm_up(service.resources) == ["code", "docs", "mail"]
    assert len(asked) == 1


async def test_a_model_that_hangs_does_not_hold_up_the_start(
    service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await service.fill("docs", [{"id": "a", "text": "how to warm up"}])

    async def hang(*args: object, **kwargs: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(service.resources.embedder, "embed", hang)
    monkeypatch.setattr(module, "_MODEL_SECONDS", 0.01)
    assert await warm_up(service.resources) == ["docs"]
    assert "starting without the embedding model: no answer within 0.01 s" in caplog.text


async def test_many_collections_are_warmed_up_for_a_limited_time(service, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("docs", "code", "mail"):
        await service.fill(name, [{"id": "a", "text": "how to warm up"}])
    told: list[str] = []
    assert await warm_up(service.resources, tell=told.append) == ["code", "docs", "mail"]
    assert told[1:] == [f"{done} of 3 collections are warm" for done in range(3)]
    assert await warm_up(service.resources, limit=0) == ["code", "docs", "mail"]
    assert "3 of 3 collections are still cold" in caplog.text
