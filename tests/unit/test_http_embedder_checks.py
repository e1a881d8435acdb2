"""Embedders behind HTTP: what a check-up finds out about their servers."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from tests.stubs.embeddings import (
    VllmStub,
    embedding,
    never,
)
from tests.stubs.server import reply
from winnow.core.errors import UpstreamUnavailable
from winnow.core.settings.embedding import DashScopeEmbedding, OpenAIEmbedding, VllmEmbedding
from winnow.models.http.embed import HttpEmbedder
from winnow.models.http.embed_dialects import HttpEmbedding
from winnow.ports import Remote
from winnow.testing.models import WordTokenizer


class TestCheckUp:
    async def test_a_good_vllm_passes(self) -> None:
        async with embedding(VllmStub()) as (embedder, _):
            assert isinstance(embedder, Remote)
            await embedder.ping()
            findings = await embedder.self_check()
        assert {finding.check: finding.status for finding in findings} == {
            "model served": "ok",
            "length": "ok",
            "closing token": "ok",
        }

    @pytest.mark.parametrize(
        ("server", "settings", "check", "fix"),
        [
            (VllmStub(model="other"), {}, "model served", "WINNOW_EMBEDDING__MODEL"),
            (VllmStub(max_model_len=100), {}, "length", "WINNOW_EMBEDDING__MAX_TOKENS to 100"),
            (VllmStub(closing_token=151645), {}, "closing token", "<|endoftext|>"),
        ],
        ids=["model", "length", "closing token"],
    )
    async def test_what_is_wrong_with_a_vllm_is_named(
        self, server: VllmStub, settings: dict[str, Any], check: str, fix: str
    ) -> None:
        async with embedding(server, **settings) as (embedder, _):
            failed = [finding for finding in await embedder.self_check() if finding.status == "failed"]
        assert [finding.check for finding in failed] == [check]
        assert fix in failed[0].fix

    async def test_what_a_server_does_not_show_is_skipped(self) -> None:
        async def mute(request: web.Request) -> web.Response:
            return reply({"detail": "Not Found"}, 404)

        async def terse(request: web.Request) -> web.Response:
            if request.path == "/v1/models":
                return reply({"data": [{"id": "Qwen/Qwen3-Embedding-0.6B"}]})
            return reply({"detail": "Not Found"}, 404)

        for server in (mute, terse):
            async with embedding(server) as (embedder, _):
                await embedder.ping()
                findings = await embedder.self_check()
            assert {finding.status for finding in findings if finding.check != "model served" or server is mute} == {
                "skipped"
            }

    async def test_a_model_of_another_name_is_not_asked_for_its_closing_token(self) -> None:
        async with embedding(VllmStub(model="bge-m3", closing_token=2), model="bge-m3") as (embedder, _):
            findings = await embedder.self_check()
        assert [finding.status for finding in findings] == ["ok", "ok", "skipped", "skipped"]
        assert "WINNOW_EMBEDDING__INSTRUCT" in findings[-1].seen

    async def test_a_vllm_that_is_ill_or_gone_is_unavailable(self) -> None:
        async def ill(request: web.Request) -> web.Response:
            return web.Response(status=503)

        async with embedding(ill) as (embedder, _):
            with pytest.raises(UpstreamUnavailable, match="503"):
                await embedder.ping()
        gone = HttpEmbedder(VllmEmbedding(url="http://127.0.0.1:9"), WordTokenizer())
        with pytest.raises(UpstreamUnavailable):
            await gone.ping()
        await gone.close()

    @pytest.mark.parametrize("kind", [OpenAIEmbedding, DashScopeEmbedding])
    async def test_providers_that_charge_are_not_called(self, kind: type[HttpEmbedding]) -> None:
        async with embedding(never, kind) as (embedder, stub):
            await embedder.ping()
            assert list(await embedder.self_check()) == []
        assert stub.calls == []
