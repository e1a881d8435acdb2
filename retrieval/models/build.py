"""The only map from settings to models. An adapter's libraries load only when it is configured."""

from __future__ import annotations

from typing import assert_never

from retrieval.ports import Embedder, Reranker, VectorStore
from retrieval.settings import BundledEmbedding, BundledRerank, FakeEmbedding, FakeRerank, NoRerank, Settings


def build_embedder(settings: Settings) -> Embedder:
    """Load the configured embedder. Blocks for seconds where a model is loaded: call it on a thread.

    Raises:
        InvalidSettings: the configured model cannot be loaded; the message says why.
    """
    match settings.embedding:
        case BundledEmbedding():
            from retrieval.models.bundled import BundledEmbedder

            return BundledEmbedder(settings.embedding)
        case FakeEmbedding():
            from retrieval.models.fakes import FakeEmbedder

            return FakeEmbedder(settings.embedding.dimensions)
        case unknown:
            assert_never(unknown)


def build_reranker(settings: Settings, embedder: Embedder, store: VectorStore) -> Reranker | None:
    """Build the configured reranker over ``embedder`` and ``store``; ``None`` without a second stage."""
    match settings.rerank:
        case BundledRerank():
            from retrieval.models.late_interaction import LateInteractionReranker

            return LateInteractionReranker(embedder=embedder, store=store)
        case FakeRerank():
            from retrieval.models.fakes import FakeReranker

            return FakeReranker()
        case NoRerank():
            return None
        case unknown:
            assert_never(unknown)
