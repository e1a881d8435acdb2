"""Servers that rerank, as their providers document them: fields, headers, limits, answers, refusals.

Each refuses whatever its page does not name: another path, key or model, an unknown field, a value of another type.
"""

from tests.stubs.rerank_servers.alibaba import (
    DashScopeStub,
    NativeStub,
    VisualStub,
    WrappedStub,
    compatible_error,
    native_error,
)
from tests.stubs.rerank_servers.base import (
    KEY,
    TOKENS,
    RerankStub,
    count,
    fixed,
    passage,
    relevance,
    reranking,
    scores_of,
)
from tests.stubs.rerank_servers.own import SglangStub, TeiStub, VllmStub, tokens_of_prompt
from tests.stubs.rerank_servers.providers import PROVIDERS, Provider
from tests.stubs.rerank_servers.vendors import CohereStub, DmxStub, JinaListwiseStub, JinaStub, SiliconFlowStub

__all__ = [
    "KEY",
    "PROVIDERS",
    "TOKENS",
    "CohereStub",
    "DashScopeStub",
    "DmxStub",
    "JinaListwiseStub",
    "JinaStub",
    "NativeStub",
    "Provider",
    "RerankStub",
    "SglangStub",
    "SiliconFlowStub",
    "TeiStub",
    "VisualStub",
    "VllmStub",
    "WrappedStub",
    "compatible_error",
    "count",
    "fixed",
    "native_error",
    "passage",
    "relevance",
    "reranking",
    "scores_of",
    "tokens_of_prompt",
]
