"""The instruct of queries: Qwen's for Qwen3-Embedding, none for other models, what is configured before either."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from tests.stubs.embeddings import VllmStub, embedding, of
from tests.stubs.server import Handler, reply, serve
from winnow.core.settings import load_settings
from winnow.core.settings.embedding import QWEN3_INSTRUCT, VllmEmbedding
from winnow.models.http.embed import open_http_embedder
from winnow.models.prompts import chosen_instruct


def aliased(root: str) -> Handler:
    stub = VllmStub(model="embedder")

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/v1/models":
            return reply({"data": [{"id": "embedder", "root": root, "max_model_len": stub.max_model_len}]})
        return await stub(request)

    return answer


@pytest.mark.parametrize(
    "model", ["Qwen/Qwen3-Embedding-0.6B", "qwen/qwen3-embedding-8b", "/models/Qwen3-Embedding-4B/"]
)
def test_qwen3_embedders_get_qwens_text(model: str) -> None:
    assert chosen_instruct(None, model) == QWEN3_INSTRUCT


@pytest.mark.parametrize("model", ["BAAI/bge-m3", "Qwen/Qwen2.5-7B", "embedder", "Qwen/Qwen3-Reranker-0.6B"])
def test_other_models_get_none(model: str) -> None:
    assert chosen_instruct(None, model) == ""


@pytest.mark.parametrize(
    ("config", "instruct"),
    [('{"model_type": "qwen3"}', QWEN3_INSTRUCT), ('{"model_type": "bert"}', ""), ("no json", "")],
)
def test_a_folder_tells_by_its_config(tmp_path: Path, config: str, instruct: str) -> None:
    (tmp_path / "config.json").write_text(config)
    assert chosen_instruct(None, str(tmp_path)) == instruct


@pytest.mark.parametrize("configured", ["", "Find the function"])
def test_what_is_configured_wins(configured: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_EMBEDDING__PROVIDER", "vllm")
    monkeypatch.setenv("WINNOW_EMBEDDING__INSTRUCT", configured)
    monkeypatch.setenv("WINNOW_RERANK__PROVIDER", "none")
    settings = load_settings().embedding
    assert isinstance(settings, VllmEmbedding)
    assert open_http_embedder(settings).info.instruct == configured


def test_the_name_alone_decides_where_it_tells() -> None:
    assert of(VllmEmbedding).info.instruct == QWEN3_INSTRUCT
    assert of(VllmEmbedding, model="BAAI/bge-m3", dimensions=8).info.instruct == ""


@pytest.mark.parametrize(("root", "instruct"), [("Qwen/Qwen3-Embedding-0.6B", QWEN3_INSTRUCT), ("BAAI/bge-m3", "")])
async def test_an_alias_is_what_the_server_says_it_is(root: str, instruct: str) -> None:
    async with serve(aliased(root)) as stub:
        settings = VllmEmbedding(url=stub.url, model="embedder", dimensions=64, max_tokens=64)
        embedder = await asyncio.to_thread(open_http_embedder, settings)
        findings = {each.check: each.status for each in await embedder.self_check()}
        await embedder.close()
    assert embedder.info.instruct == instruct
    assert findings["instruct of the model"] == "ok"


async def test_an_alias_whose_server_came_late_fails_the_check_up_with_the_remedy() -> None:
    async with embedding(aliased("Qwen/Qwen3-Embedding-0.6B"), model="embedder") as (embedder, _):
        failed = [each for each in await embedder.self_check() if each.status == "failed"]
    assert [each.check for each in failed] == ["instruct of the model"]
    assert "WINNOW_EMBEDDING__INSTRUCT" in failed[0].fix


async def test_an_alias_of_a_server_that_is_gone_goes_without() -> None:
    settings = VllmEmbedding(url="http://127.0.0.1:9", model="embedder", dimensions=64)
    embedder = await asyncio.to_thread(open_http_embedder, settings)
    await embedder.close()
    assert embedder.info.instruct == ""
