"""Every provider that has a stub, and the settings that lead to it."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.stubs.rerank_servers.alibaba import DashScopeStub, NativeStub, VisualStub, WrappedStub
from tests.stubs.rerank_servers.base import KEY, RerankStub
from tests.stubs.rerank_servers.own import SglangStub, TeiStub, VllmStub
from tests.stubs.rerank_servers.vendors import CohereStub, DmxStub, JinaListwiseStub, JinaStub, SiliconFlowStub
from winnow.core.settings.rerank import (
    CohereRerank,
    DashScopeNativeRerank,
    DashScopeRerank,
    HttpRerank,
    JinaRerank,
    TeiRerank,
    VllmRerank,
    WrappedRerank,
)


class Provider(NamedTuple):
    """A server, and how the reranker is told of it."""

    server: RerankStub
    kind: type[HttpRerank]
    settings: dict[str, Any] = {}  # noqa: RUF012 - nobody writes into it


_COMPUTE_NEST = "Qwen3-Reranker-8B"
_OTHER_PATH = "/compatible-mode/v1/reranks"
_DMXAPI: dict[str, Any] = {"model": "qwen3-reranker-8b", "spare_texts": False}

PROVIDERS = {
    "vllm": Provider(VllmStub(), VllmRerank),
    "vllm, client's template": Provider(VllmStub(templated=False), VllmRerank, {"template": "client"}),
    "ComputeNest": Provider(
        VllmStub(KEY, _COMPUTE_NEST, templated=False),
        VllmRerank,
        {"template": "client", "auth_scheme": "raw", "model": _COMPUTE_NEST},
    ),
    "dashscope": Provider(DashScopeStub(), DashScopeRerank),
    "dashscope, compatible-mode": Provider(DashScopeStub(path=_OTHER_PATH), DashScopeRerank, {"path": _OTHER_PATH}),
    "gte-rerank-v2": Provider(NativeStub(), DashScopeNativeRerank),
    "qwen3-vl-rerank": Provider(VisualStub(), DashScopeNativeRerank, {"model": "qwen3-vl-rerank"}),
    "wrapped": Provider(WrappedStub(), WrappedRerank),
    "DMXAPI": Provider(DmxStub(), JinaRerank, _DMXAPI),
    "DMXAPI, raw key": Provider(DmxStub(KEY), JinaRerank, {**_DMXAPI, "auth_scheme": "raw"}),
    "SiliconFlow": Provider(SiliconFlowStub(), JinaRerank, {"model": "Qwen/Qwen3-Reranker-8B"}),
    "SiliconFlow, meta": Provider(SiliconFlowStub(in_meta=True), JinaRerank, {"model": "Qwen/Qwen3-Reranker-8B"}),
    "Jina": Provider(JinaStub(), JinaRerank),
    "Jina, listwise": Provider(JinaListwiseStub(), JinaRerank, {"model": "jina-reranker-v3"}),
    "SGLang": Provider(
        SglangStub(),
        JinaRerank,
        {"model": "Qwen/Qwen3-Reranker-0.6B", "instruct_field": "instruct", "api_key": ""},
    ),
    "Cohere": Provider(CohereStub(), CohereRerank),
    "TEI": Provider(TeiStub(), TeiRerank),
}
