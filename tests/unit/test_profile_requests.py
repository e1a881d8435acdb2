"""deploy/profiles: what each makes Winnow send, to the letter of its provider's page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from tests.stubs.rerank_servers import (
    KEY,
    CohereStub,
    DashScopeStub,
    DmxStub,
    JinaStub,
    NativeStub,
    RerankStub,
    SglangStub,
    SiliconFlowStub,
    TeiStub,
    VllmStub,
    WrappedStub,
    scores_of,
)
from tests.stubs.server import reply, serve
from tests.unit.test_profiles import PROFILES, variables_of
from winnow.core.errors import UpstreamRejected
from winnow.core.settings import Settings, load_settings
from winnow.core.settings.embedding import QWEN3_INSTRUCT
from winnow.core.settings.rerank import HttpRerank
from winnow.models.http.addresses import call_address
from winnow.models.http.embed import HttpEmbedder
from winnow.models.http.embed_dialects import HttpEmbedding, embed_dialect
from winnow.models.http.rerank import HttpReranker
from winnow.models.prompts import RERANK_PREFIX, RERANK_SUFFIX
from winnow.testing.models import WordTokenizer

QUERY, TEXTS = "apples", ["red apples", "green pears"]
BEARER = f"Bearer {KEY}"
FLAT: dict[str, Any] = {"query": QUERY, "documents": TEXTS}
TASK = f"Instruct: {QWEN3_INSTRUCT}\nQuery:{QUERY}"
SERVED = {"encoding_format": "base64", "truncate_prompt_tokens": -1}


class Call(NamedTuple):
    """One request: where to, with what in ``Authorization``, and its body."""

    url: str
    authorization: str | None
    body: dict[str, Any]


class Reranked(NamedTuple):
    """A request for scores, and the server of the page, which takes nothing else."""

    call: Call
    server: RerankStub


RERANKS = {
    "vllm": Reranked(
        Call(
            "http://127.0.0.1:8002/v1/rerank",
            None,
            {"model": "Qwen/Qwen3-Reranker-0.6B", **FLAT, "instruction": QWEN3_INSTRUCT},
        ),
        VllmStub(authorization=None),
    ),
    "computenest": Reranked(
        Call(
            "http://reranker.example:8000/v1/rerank",
            KEY,
            {
                "model": "Qwen3-Reranker-8B",
                "query": f"{RERANK_PREFIX}<Instruct>: {QWEN3_INSTRUCT}\n<Query>: {QUERY}\n",
                "documents": [f"<Document>: {text}{RERANK_SUFFIX}" for text in TEXTS],
            },
        ),
        VllmStub(KEY, "Qwen3-Reranker-8B", templated=False),
    ),
    "dashscope": Reranked(
        Call(
            "https://dashscope.aliyuncs.com/compatible-api/v1/reranks",
            BEARER,
            {"model": "qwen3-rerank", **FLAT, "instruct": QWEN3_INSTRUCT},
        ),
        DashScopeStub(),
    ),
    "dashscope-native": Reranked(
        Call(
            "https://dashscope.aliyuncs.com/api/v1/services/rerank/text-rerank/text-rerank",
            BEARER,
            {"model": "gte-rerank-v2", "input": FLAT, "parameters": {"return_documents": False}},
        ),
        NativeStub(),
    ),
    "wrapped": Reranked(
        Call(
            "https://gateway.example/v1/rerank",
            BEARER,
            {"model": "qwen3-rerank", **FLAT, "instruct": QWEN3_INSTRUCT},
        ),
        WrappedStub(),
    ),
    "dmxapi": Reranked(
        Call("https://www.dmxapi.cn/v1/rerank", BEARER, {"model": "qwen3-reranker-8b", **FLAT}),
        DmxStub(),
    ),
    "siliconflow": Reranked(
        Call(
            "https://api.siliconflow.cn/v1/rerank",
            BEARER,
            {"model": "Qwen/Qwen3-Reranker-8B", **FLAT, "return_documents": False},
        ),
        SiliconFlowStub(),
    ),
    "jina": Reranked(
        Call(
            "https://api.jina.ai/v1/rerank",
            BEARER,
            {"model": "jina-reranker-v2-base-multilingual", **FLAT, "return_documents": False},
        ),
        JinaStub(),
    ),
    "sglang": Reranked(
        Call(
            "http://127.0.0.1:30000/v1/rerank",
            None,
            {"model": "Qwen/Qwen3-Reranker-0.6B", **FLAT, "return_documents": False},
        ),
        SglangStub(),
    ),
    "cohere": Reranked(
        Call("https://api.cohere.com/v2/rerank", BEARER, {"model": "rerank-v3.5", **FLAT, "max_tokens_per_doc": 4096}),
        CohereStub(),
    ),
    "tei": Reranked(
        Call(
            "http://127.0.0.1:8080/rerank",
            None,
            {"query": QUERY, "texts": TEXTS, "raw_scores": False, "truncate": True},
        ),
        TeiStub(authorization=None, max_tokens=8192),
    ),
}

EMBEDDINGS = {
    "vllm": Call(
        "http://127.0.0.1:8001/v1/embeddings",
        None,
        {"model": "Qwen/Qwen3-Embedding-0.6B", "input": [TASK], **SERVED},
    ),
    "computenest": Call(
        "http://embedding.example:8000/v1/embeddings",
        KEY,
        {"model": "Qwen3-Embedding-8B", "input": [TASK], **SERVED},
    ),
    "openai": Call(
        "https://api.openai.com/v1/embeddings",
        BEARER,
        {"model": "text-embedding-3-small", "input": [QUERY], "encoding_format": "base64"},
    ),
    "dashscope": Call(
        "https://dashscope.aliyuncs.com/compatible-mode/v1/embeddings",
        BEARER,
        {"model": "text-embedding-v4", "input": [QUERY], "encoding_format": "float", "dimensions": 1024},
    ),
    "dashscope-native": Call(
        "https://dashscope.aliyuncs.com/api/v1/services/embeddings/text-embedding/text-embedding",
        BEARER,
        {
            "model": "text-embedding-v4",
            "input": {"texts": [QUERY]},
            "parameters": {"text_type": "query", "output_type": "dense", "dimension": 1024},
        },
    ),
}


@pytest.fixture
def profile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """The settings of the profile of that name, with keys where it wants some."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("WINNOW_")]:
        monkeypatch.delenv(name)
    (file,) = [file for file in PROFILES if file.stem == request.param]
    variables = variables_of(file)
    for group in ("EMBEDDING", "RERANK"):
        if f"# needs WINNOW_{group}__API_KEY" in file.read_text("utf-8"):
            variables[f"WINNOW_{group}__API_KEY"] = KEY
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.mark.parametrize(("profile", "expected"), RERANKS.items(), ids=RERANKS, indirect=["profile"])
async def test_a_profile_asks_for_scores_as_its_page_says(profile: Settings, expected: Reranked) -> None:
    settings = profile.rerank
    assert isinstance(settings, HttpRerank)
    assert call_address(settings.url, settings.path) == expected.call.url
    async with serve(expected.server) as stub:
        reranker = HttpReranker(settings.model_copy(update={"url": stub.url}))
        assert (await scores_of(reranker, QUERY, TEXTS)).argmax() == 0
        await reranker.close()
    (call,) = stub.calls
    assert expected.call.url.endswith(call.path)
    assert (call.method, call.headers.get("authorization")) == ("POST", expected.call.authorization)
    assert call.body == expected.call.body


@pytest.mark.parametrize(("profile", "expected"), EMBEDDINGS.items(), ids=EMBEDDINGS, indirect=["profile"])
async def test_a_profile_asks_for_vectors_as_its_page_says(profile: Settings, expected: Call) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return reply({"message": "that was all that is looked at"}, 400)

    settings = profile.embedding
    assert isinstance(settings, HttpEmbedding)
    assert call_address(settings.url, embed_dialect(settings).path) == expected.url
    async with serve(refuse) as stub:
        embedder = HttpEmbedder(settings.model_copy(update={"url": stub.url}), WordTokenizer())
        with pytest.raises(UpstreamRejected, match="that was all"):
            await embedder.embed([QUERY], "query")
        await embedder.close()
    (call,) = stub.calls
    assert expected.url.endswith(call.path)
    assert (call.method, call.headers.get("authorization")) == ("POST", expected.authorization)
    assert call.body == expected.body


def test_no_profile_is_left_out() -> None:
    """What runs in the process sends nothing."""
    in_process = {"bundled", "torch", "vllm-offline", "none"}
    for group, tried in (("RERANK", set(RERANKS)), ("EMBEDDING", set(EMBEDDINGS))):
        chosen = {file.stem: variables_of(file).get(f"WINNOW_{group}__PROVIDER", "bundled") for file in PROFILES}
        assert {name for name, provider in chosen.items() if provider not in in_process} == tried
