"""The only map from settings to models. An adapter's libraries load only when it is configured."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, assert_never

from winnow.core.errors import InvalidSettings
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
from winnow.ports import Embedder, Reranker, VectorStore

log = logging.getLogger(__name__)


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
            with _needs_extra("torch"):
                from winnow.models.local.torch_embedder import TorchEmbedder

            return TorchEmbedder(settings.embedding)
        case VllmOfflineEmbedding():
            with _needs_extra("vllm"):
                from winnow.models.local.vllm_offline import VllmOfflineEmbedder

            return VllmOfflineEmbedder(settings.embedding)
        case CustomEmbedding(dimensions=None):
            return settings.embedding.make(Embedder)
        case CustomEmbedding():
            return settings.embedding.make(Embedder, dimensions=settings.embedding.dimensions)
        case unknown:
            assert_never(unknown)


def build_further(settings: Settings) -> Embedder:
    """As ``build_embedder``, but a bundled one is loaded when it is first needed."""
    match settings.embedding:
        case BundledEmbedding():
            from winnow.models.bundled.embedder import deferred_embedder

            return deferred_embedder(settings.embedding)
        case _:
            return build_embedder(settings)


def build_default(settings: Settings) -> Embedder:
    """As ``build_embedder``, but a bundled one whose packages are missing or damaged is left to be loaded later.

    Until its weights are there searches go by keywords, and say so; documents wait.
    """
    try:
        return build_embedder(settings)
    except InvalidSettings as error:
        if not isinstance(settings.embedding, BundledEmbedding) or settings.embedding.weights is not None:
            raise
        log.warning("%s. Until then searches go by keywords, and documents wait to be embedded", error.message)
        return build_further(settings)


def build_chooser(settings: Settings) -> Callable[[Sequence[str]], str] | None:
    """Chooses a collection's embedder by its first texts, by name; ``None`` where the default is a fixed one."""
    match settings.embedding:
        case BundledEmbedding(model="auto"):
            from winnow.models.bundled.language import LanguageChoice

            return LanguageChoice()
        case _:
            return None


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
            with _needs_extra("torch"):
                from winnow.models.local.torch_reranker import TorchReranker

            return TorchReranker(settings.rerank)
        case CustomRerank():
            return settings.rerank.make(Reranker)
        case NoRerank():
            return None
        case unknown:
            assert_never(unknown)


@contextmanager
def _needs_extra(extra: Literal["torch", "vllm"]) -> Iterator[None]:
    """Import the libraries of ``extra`` inside of this block: without them the error says how to install them."""
    try:
        yield
    except ImportError as error:
        raise InvalidSettings(
            f"the configured provider needs {error.name}: pip install 'winnow-search[{extra}]'"
        ) from error
