"""The only map from settings to models. An adapter's libraries load only when it is configured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from winnow.core.custom import make_custom
from winnow.core.settings import Settings
from winnow.core.settings.embedding import (
    BundledEmbedding,
    CustomEmbedding,
    DashScopeEmbedding,
    OpenAIEmbedding,
    TorchEmbedding,
    VllmEmbedding,
    VllmOfflineEmbedding,
)
from winnow.core.settings.rerank import BundledRerank, CustomRerank, HttpRerank, NoRerank, TorchRerank
from winnow.models.extras import needs_extra
from winnow.ports import Embedder, Reranker, VectorStore


def build_embedder(settings: Settings) -> Embedder:
    """Load the configured embedder. Blocks for seconds where a model is loaded: call it on a thread.

    Raises:
        InvalidSettings: the configured model cannot be loaded; the message says why.
    """
    match settings.embedding:
        case BundledEmbedding():
            from winnow.models.bundled.embedder import BundledEmbedder

            return BundledEmbedder(settings.embedding)
        case VllmEmbedding() | OpenAIEmbedding() | DashScopeEmbedding():
            from winnow.models.http.embed import open_http_embedder

            return open_http_embedder(settings.embedding)
        case TorchEmbedding():
            with needs_extra("torch"):
                from winnow.models.local.torch_embedder import TorchEmbedder

            return TorchEmbedder(settings.embedding)
        case VllmOfflineEmbedding():
            with needs_extra("vllm"):
                from winnow.models.local.vllm_offline import VllmOfflineEmbedder

            return VllmOfflineEmbedder(settings.embedding)
        case CustomEmbedding(factory=factory, options=options, dimensions=dimensions):
            sized = options if dimensions is None else {**options, "dimensions": dimensions}
            return make_custom(factory, sized, Embedder)
        case unknown:
            assert_never(unknown)


def build_reranker(settings: Settings, embedders: Iterable[Embedder], store: VectorStore) -> Reranker | None:
    """Build the configured reranker over ``embedders`` and ``store``; ``None`` without a second stage."""
    match settings.rerank:
        case BundledRerank():
            from winnow.models.bundled.reranker import LateInteractionReranker

            return LateInteractionReranker(embedders, store)
        case HttpRerank():
            from winnow.models.http.rerank import HttpReranker

            return HttpReranker(settings.rerank)
        case TorchRerank():
            with needs_extra("torch"):
                from winnow.models.local.torch_reranker import TorchReranker

            return TorchReranker(settings.rerank)
        case CustomRerank(factory=factory, options=options):
            return make_custom(factory, options, Reranker)
        case NoRerank():
            return None
        case unknown:
            assert_never(unknown)
