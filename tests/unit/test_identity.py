"""Identity: which differences make a service refuse a collection, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from winnow.core.errors import IdentityMismatch
from winnow.core.identity import CHUNKER, require_same_identity, same_model
from winnow.core.types import Index, IndexIdentity
from winnow.ports import Embedder, EmbedderInfo
from winnow.search.embedders import Embedders, identity_of
from winnow.search.query_cache import CachedEmbedder
from winnow.testing.models import FakeEmbedder

QWEN = "Qwen/Qwen3-Embedding-0.6B"
BUILT = IndexIdentity("vllm-offline", QWEN, "c54f2e6e", 1024, "Find", "word-bm25", CHUNKER, 0, "qwen")


def index_of(identity: IndexIdentity) -> Index:
    return Index("docs", "u" * 32, 1, identity)


def test_an_embedder_gives_all_of_its_identity() -> None:
    identity = identity_of(FakeEmbedder(12), "word-bm25", instruct="Find")
    assert identity == IndexIdentity("fake", "fake-words", "1", 12, "Find", "word-bm25", CHUNKER, 12, "words")


@pytest.mark.parametrize(
    "current",
    [
        BUILT,
        replace(BUILT, provider="vllm"),
        replace(BUILT, provider="torch", revision=""),
        replace(BUILT, model="/models/qwen3-embedding-0.6B/"),
        replace(BUILT, tokenizer="bert-uncased"),
        replace(BUILT, keyword_tokenizer="jieba-bm25"),
    ],
    ids=[
        "the same",
        "another provider",
        "a revision that is not told",
        "a folder",
        "another tokenizer for chunks",
        "another tokenizer of the keyword arm",
    ],
)
def test_what_gives_the_same_vectors_is_accepted_from_either_side(current: IndexIdentity) -> None:
    require_same_identity(index_of(BUILT), current)
    require_same_identity(index_of(current), BUILT)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", "Qwen/Qwen3-Embedding-4B"),
        ("revision", "97b0c614"),
        ("dimensions", 512),
        ("instruct", ""),
        ("token_dimensions", 1024),
    ],
)
def test_any_other_difference_is_refused_with_both_sides_and_the_way_out(key: str, value: object) -> None:
    with pytest.raises(IdentityMismatch) as caught:
        require_same_identity(index_of(BUILT), replace(BUILT, provider="vllm", **{key: value}))
    message = caught.value.message
    assert f"{key}: built with {getattr(BUILT, key)!r}, configured {value!r}" in message
    assert "provider" not in message
    assert "winnow reembed -c docs" in message


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (QWEN, QWEN, True),
        (QWEN, "Qwen3-Embedding-0.6B", True),
        (QWEN, "/models/Qwen3-Embedding-0.6B", True),
        (QWEN, "./models/hub/qwen3-embedding-0.6b", True),
        ("text-embedding-v4", "text-embedding-v3", False),
        (QWEN, "someone/Qwen3-Embedding-0.6B", False),
        (QWEN, "/models/Qwen3-Embedding-4B", False),
    ],
)
def test_a_folder_or_a_bare_name_is_the_hubs_model_of_that_name(one: str, other: str, *, same: bool) -> None:
    assert same_model(one, other) is same
    assert same_model(other, one) is same


class TwoKinds(FakeEmbedder):
    """Makes token vectors of 8 dimensions, and knows the kind of earlier versions, with 12."""

    @property
    def info(self) -> EmbedderInfo:
        return replace(super().info, token_dimensions=8)

    @property
    def earlier(self) -> Embedder:
        return FakeEmbedder(12)


@pytest.mark.parametrize("wrap", [lambda embedder: embedder, lambda embedder: CachedEmbedder(embedder, size=9)])
@pytest.mark.parametrize("token_dimensions", [8, 12])
def test_an_index_is_served_by_the_embedder_of_its_kind_of_token_vectors(
    wrap: Callable[[Embedder], Embedder], token_dimensions: int
) -> None:
    """Both in one process: what an earlier version built stays valid until it is embedded again."""
    identity = replace(identity_of(TwoKinds(12), "word-bm25"), token_dimensions=token_dimensions)
    embedders = Embedders(wrap(TwoKinds(12)), keyword_tokenizer="word-bm25")
    assert embedders.of(index_of(identity)).info.token_dimensions == token_dimensions
    with pytest.raises(IdentityMismatch, match="token_dimensions"):
        embedders.of(index_of(replace(identity, token_dimensions=16)))
