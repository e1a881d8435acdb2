"""Checks across settings: contradictions, and providers that need a key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from winnow.core.settings.base import Endpoint
from winnow.core.settings.embedding import BundledEmbedding, CustomEmbedding, Embedding
from winnow.core.settings.rerank import BundledRerank, Rerank

_PUBLIC: Final = (
    "openai.com",
    "aliyuncs.com",
    "jina.ai",
    "cohere.com",
    "siliconflow.cn",
    "siliconflow.com",
    "dmxapi.cn",
)


def contradictions(embedding: Embedding, next_embedding: Embedding | None, rerank: Rerank) -> list[str]:
    """One line for each contradiction; it begins with the variable to change."""
    found = []
    blind = [
        each.provider
        for each in (embedding, next_embedding)
        if each is not None and not isinstance(each, BundledEmbedding | CustomEmbedding)
    ]
    if isinstance(rerank, BundledRerank) and blind:
        found.append(
            "WINNOW_RERANK__PROVIDER: bundled needs token vectors, which only the bundled embedding model has, not "
            f"{blind[0]}; set it to vllm, torch, dashscope, another reranker, or none"
        )
    groups = {"EMBEDDING": embedding, "NEXT_EMBEDDING": next_embedding, "RERANK": rerank}
    for name, group in groups.items():
        prefix = f"WINNOW_{name}"
        if isinstance(group, Endpoint):
            found += [f"{prefix}__API_KEY: {problem}" for problem in _key_problems(group)]
    return found


def _key_problems(endpoint: Endpoint) -> Iterator[str]:
    host = urlsplit(endpoint.url).hostname or ""
    key = endpoint.api_key.get_secret_value()
    if not key and any(host == domain or host.endswith(f".{domain}") for domain in _PUBLIC):
        yield f"{host} needs a key"
    if key.casefold().startswith("bearer "):
        yield "leave out the word Bearer: __AUTH_SCHEME adds it"
