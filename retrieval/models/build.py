"""The only map from settings to models. An adapter's libraries load only when it is configured."""

from __future__ import annotations

from typing import assert_never

from retrieval.embedders import Embedders
from retrieval.models.extras import needs_extra
from retrieval.ports import Embedder, Reranker, VectorStore
from retrieval.settings import Settings
from retrieval.settings.embedding import (
    BundledEmbedding,
    DashScopeEmbedding,
    FakeEmbedding,
    OpenAIEmbedding,
    TorchEmbedding,
    VllmEmbedding,
    VllmOfflineEmbedding,
)
from retrieval.settings.rerank import BundledRerank, FakeRerank, HttpRerank, NoRerank, TorchRerank


def build_embedder(settings: Settings) -> Embedder:
    """Load the configured embedder. Blocks for seconds where a model is loaded: call it on a thread.

    Raises:
        InvalidSettings: the configured model cannot be loaded; the message says why.
    """
    match settings.embedding:
        case BundledEmbedding():
            from retrieval.models.bundled import BundledEmbedder

            return BundledEmbedder(settings.embedding)
        case VllmEmbedding() | OpenAIEmbedding() | DashScopeEmbedding():
            from retrieval.models.http_embedder import open_http_embedder

            return open_http_embedder(settings.embedding)
        case TorchEmbedding():
            with needs_extra("torch"):
                from retrieval.models.torch_embedder import TorchEmbedder

            return TorchEmbedder(settings.embedding)
        case VllmOfflineEmbedding():
            with needs_extra("vllm"):
                from retrieval.models.vllm_offline import VllmOfflineEmbedder

            return VllmOfflineEmbedder(settings.embedding)
        case FakeEmbedding():
            from retrieval.models.fakes import FakeEmbedder

            return FakeEmbedder(settings.embedding.dimensions, token_vectors=settings.embedding.token_vectors)
        case unknown:
            assert_never(unknown)


def build_reranker(settings: Settings, embedders: Embedders, store: VectorStore) -> Reranker | None:
    """Build the configured reranker over ``embedders`` and ``store``; ``None`` without a second stage."""
    match settings.rerank:
        case BundledRerank():
            from retrieval.models.late_interaction import LateInteractionReranker

            return LateInteractionReranker(embedders, store)
        case HttpRerank():
            from retrieval.models.http_reranker import HttpReranker

            return HttpReranker(settings.rerank)
        case TorchRerank():
            with needs_extra("torch"):
                from retrieval.models.torch_reranker import TorchReranker

            return TorchReranker(settings.rerank)
        case FakeRerank():
            from retrieval.models.fakes import FakeReranker

            return FakeReranker()
        case NoRerank():
            return None
        case unknown:
            assert_never(unknown)
