"""What a collection was built with, and the refusal to serve it with anything else."""

from __future__ import annotations

from dataclasses import asdict

from retrieval.errors import IdentityMismatch
from retrieval.ports import EmbedderInfo
from retrieval.types import Collection, IndexIdentity

CHUNKER = "structure-1"  # name and version: raise the version when chunk borders or passages change


def identity_of(embedder: EmbedderInfo, keyword_tokenizer: str, *, instruct: str | None = None) -> IndexIdentity:
    """The identity that a collection gets when it is made with these parts."""
    return IndexIdentity(
        provider=embedder.provider,
        model=embedder.model,
        revision=embedder.revision,
        dimensions=embedder.dimensions,
        instruct=embedder.instruct if instruct is None else instruct,
        keyword_tokenizer=keyword_tokenizer,
        chunker=CHUNKER,
        token_dimensions=embedder.token_dimensions,
    )


def require_same_identity(collection: Collection, current: IndexIdentity) -> None:
    """Raise ``IdentityMismatch`` that names both sides of each difference."""
    ours, theirs = asdict(current), asdict(collection.identity)
    differing = [key for key in ours if ours[key] != theirs[key]]
    if differing:
        sides = "; ".join(f"{key}: built with {theirs[key]!r}, configured {ours[key]!r}" for key in differing)
        raise IdentityMismatch(
            f"collection {collection.name!r} does not fit the configured models ({sides}); "
            "configure what it was built with, or index its documents into a new collection"
        )
